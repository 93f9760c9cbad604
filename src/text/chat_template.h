// Conversation → prompt text, as Qwen3's chat templates do it. There is no template interpreter: the family is coded
// here and the model folder's template text only decides which one it is. Source: the published templates, see
// template_family.h.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/message.h"
#include "text/template_family.h"
#include "text/text_segment.h"

namespace qwen {

class ChatTemplate {
 public:
  // Reads chat_template.jinja, else "chat_template" of tokenizer_config.json, from `model_dir` and recognises its
  // family. A non-empty `family` (thinking-2507, hybrid or instruct) decides instead, and no file is needed. Errors:
  // kUsage for an unknown family name; kBadData for a missing or unrecognised template, with the option that helps.
  static ChatTemplate detect(const std::filesystem::path& model_dir, std::string_view family = {});

  explicit ChatTemplate(TemplateFamily family) : match_{family, TemplateMatch::By::kOption, {}} {}
  explicit ChatTemplate(TemplateMatch match) : match_(std::move(match)) {}

  // Errors: kInvalidValue where the published template fails: no messages, or a first system message without a string
  // content; also for a final message that cannot be continued.
  std::string render(std::span<const Message> messages, const TemplateOptions& options = {}) const;

  // The same text in pieces for Tokenizer::encode: adjacent pieces differ in trust, none is empty.
  std::vector<TextSegment> render_segments(std::span<const Message> messages,
                                           const TemplateOptions& options = {}) const;

  TemplateFamily family() const { return match_.family; }
  std::string_view family_name() const { return template_family_name(match_.family); }
  const TemplateMatch& match() const { return match_; }
  bool thinks() const {
    return match_.family == TemplateFamily::kThinking2507 || match_.family == TemplateFamily::kHybrid;
  }

 private:
  TemplateMatch match_;
};

// The model's output goes on inside a thought: the prompt ends in "<think>\n".
bool starts_in_thought(std::string_view prompt);

}  // namespace qwen
