#include "base/utf8.h"

#include <algorithm>

namespace qwen {
namespace {

struct Lead {
  int length;               // whole sequence, 0 = not a lead byte
  unsigned char low, high;  // allowed range of the second byte (excludes overlong forms, surrogates and > U+10FFFF)
};

constexpr Lead classify(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xc2) return {0, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3, 0x80, 0xbf};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4, 0x80, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

// Number of leading bytes of `text` that are a valid beginning of the character that starts there.
int valid_part(std::string_view text, const Lead& lead) {
  int n = 1;
  while (n < lead.length && static_cast<size_t>(n) < text.size()) {
    const auto byte = static_cast<unsigned char>(text[static_cast<size_t>(n)]);
    const unsigned char low = n == 1 ? lead.low : 0x80, high = n == 1 ? lead.high : 0xbf;
    if (byte < low || byte > high) break;
    ++n;
  }
  return n;
}

}  // namespace

Utf8Char utf8_decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const Lead lead = classify(first);
  if (lead.length == 1) return {first, 1, true};
  if (lead.length == 0) return {0xfffd, 1, false};
  const int n = valid_part(text, lead);
  if (n < lead.length) return {0xfffd, n, false};
  char32_t code_point = first & (0xffu >> (lead.length + 1));
  for (int i = 1; i < n; ++i)
    code_point = code_point << 6 | (static_cast<unsigned char>(text[static_cast<size_t>(i)]) & 0x3fu);
  return {code_point, n, true};
}

void utf8_append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

bool utf8_valid(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char c = utf8_decode(text);
    if (!c.valid) return false;
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  return true;
}

std::string utf8_lossy(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = utf8_decode(text);
    if (c.valid)
      out.append(text.substr(0, static_cast<size_t>(c.length)));
    else
      utf8_append(out, 0xfffd);
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  return out;
}

size_t utf8_complete_prefix(std::string_view text) {
  // Only the last three bytes can begin a character that is cut off by the end.
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    const Lead lead = classify(static_cast<unsigned char>(tail[0]));
    if (lead.length > static_cast<int>(back) && valid_part(tail, lead) == static_cast<int>(back))
      return text.size() - back;
  }
  return text.size();
}

}  // namespace qwen
