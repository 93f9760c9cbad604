// Which coded template family a template text belongs to. Nothing is executed and there is no template interpreter, so
// a template is recognised only where its tokens (jinja_tokens.h) are those of a template whose renders the coded
// families reproduce: line ends, white space that writes nothing, comments and the kind of quotes may differ, anything
// else may not. Every other template is an error that names --chat-template, and the family that it resembles.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qwen {

enum class TemplateFamily {
  kThinking2507,       // always thinks: the prompt opens the thought
  kHybrid,             // first generation: thinks unless enable_thinking is false
  kInstruct2507,       // never thinks: an assistant's text is written as it is
  kInstruct2507First,  // its first edition: takes thoughts apart as kThinking2507 does
};

struct TemplateMatch {
  enum class By { kDigest, kOption };
  TemplateFamily family;
  By by;
  std::string digest;  // of the template's tokens; empty for kOption
};

// "thinking-2507", "hybrid", "instruct" (both editions; the name means the later one).
std::string_view template_family_name(TemplateFamily family);
std::optional<TemplateFamily> template_family_from_name(std::string_view name);

// Errors: kBadData saying what was not recognised and naming --chat-template. `source` is the file, for the message.
TemplateMatch match_template(std::string_view template_text, std::string_view source);

}  // namespace qwen
