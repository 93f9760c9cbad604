// A Jinja template as its tokens: what stands outside the tags after white space control, and names, operators and
// string literals inside them. White space and comments are gone and quotes are unified, so two templates with the same
// tokens render the same; that is what template_family.h compares. Nothing is evaluated. Lexed as transformers sets up
// Jinja: trim_blocks and lstrip_blocks are on, keep_trailing_newline is off.
// Invariant: where this lexer is simpler than Jinja's (raw blocks, braces inside an expression, unusual escapes, white
// space beyond ASCII), it tells more templates apart than Jinja does, never fewer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct JinjaToken {
  enum class Kind : char {
    kText = 't',       // outside the tags
    kPrint = 'p',      // {{
    kStatement = 's',  // {%
    kName = 'n',       // identifiers and numbers
    kOperator = 'o',
    kString = 'q',     // a literal's value
    kRawString = 'r',  // a literal with escapes that are not resolved here, as it is spelt
  };
  Kind kind;
  std::string text;  // empty for kPrint and kStatement

  friend bool operator==(const JinjaToken&, const JinjaToken&) = default;
};

// Nothing where the text is not lexically a template (an open tag or string) or is absurdly large.
std::optional<std::vector<JinjaToken>> jinja_tokens(std::string_view text);

// SHA-256, hexadecimal, of the sequence.
std::string digest_of(const std::vector<JinjaToken>& tokens);

}  // namespace qwen
