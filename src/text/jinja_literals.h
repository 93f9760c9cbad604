// What a Jinja template can write and what it mentions: its string literals, the text outside its tags and its
// identifiers, in order. Nothing is evaluated. White space control ("-", trim_blocks, lstrip_blocks) is as transformers
// sets it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qwen {

struct JinjaLiterals {
  std::vector<std::string> literals;                        // unescaped, none empty
  std::vector<std::pair<std::string, size_t>> identifiers;  // name, number of literals before it

  bool mentions(std::string_view identifier) const;
  // The literals after the last mention of `identifier`, joined; empty where there is none.
  std::string after(std::string_view identifier) const;
};

// Nothing where the text is not lexically a template (an open tag or string) or is absurdly large.
std::optional<JinjaLiterals> jinja_literals(std::string_view text);

}  // namespace qwen
