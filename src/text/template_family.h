// Which coded template family a template text belongs to.
//
// 1. By SHA-256 of the text: the published templates whose renders the coded families reproduce.
// 2. Else by features: the generation prompt ends in "<think>\n" (thinking-2507), `enable_thinking` is mentioned
// (hybrid), or neither
//    (instruct). Nothing is executed, so the family is then checked on probe conversations: every piece of scaffolding
//    that the coded family writes for them must be spelt by the template's own literals, and every literal of the
//    template must occur in those renders. That catches another wording, other tags, a default system prompt, a missing
//    tools block; it cannot see control flow.
// 3. Else it is an error that names --chat-template.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qwen {

enum class TemplateFamily {
  kThinking2507,  // always thinks: the prompt opens the thought
  kHybrid,        // first generation: thinks unless enable_thinking is false
  kInstruct2507,  // never thinks
};

struct TemplateMatch {
  enum class By { kDigest, kFeatures, kOption };
  TemplateFamily family;
  By by;
  std::string sha256;  // of the template text; empty for kOption
};

std::string_view template_family_name(TemplateFamily family);  // "thinking-2507", "hybrid", "instruct"
std::optional<TemplateFamily> template_family_from_name(std::string_view name);

// Errors: kBadData saying what was not recognised and naming --chat-template. `source` is the file, for the message.
TemplateMatch match_template(std::string_view template_text, std::string_view source);

}  // namespace qwen
