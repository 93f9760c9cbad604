// UTF-8: decoding with the WHATWG rule for invalid bytes (one U+FFFD per maximal invalid part, as Rust's
// from_utf8_lossy).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qwen {

struct Utf8Char {
  char32_t code_point;  // U+FFFD where !valid
  int length;           // bytes consumed, ≥ 1
  bool valid;
};

// Decodes the first character of `text`, which must not be empty.
Utf8Char utf8_decode(std::string_view text);

void utf8_append(std::string& out, char32_t code_point);

bool utf8_valid(std::string_view text);

// `text` with every maximal invalid part replaced by U+FFFD.
std::string utf8_lossy(std::string_view text);

// Length of the longest prefix that does not end inside a character that more bytes could still complete.
size_t utf8_complete_prefix(std::string_view text);

}  // namespace qwen
