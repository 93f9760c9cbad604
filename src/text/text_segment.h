// A piece of a prompt and where it comes from. The template's own scaffolding is trusted; what a caller wrote
// (contents, tool descriptions, arguments) is not, and never yields a control token.
#pragma once

#include <string>

namespace qwen {

struct TextSegment {
  std::string text;
  bool trusted = false;
};

}  // namespace qwen
