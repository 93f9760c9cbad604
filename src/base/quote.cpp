// The cut is made between characters, before escaping.
#include "base/quote.h"

#include <cstdio>

#include "base/utf8.h"

namespace qwen {

namespace {

// C1 controls, line and paragraph separators, and what turns the direction of the text around it.
bool misleads(char32_t c) {
  return (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

void append_escaped(std::string& out, const char* format, unsigned value) {
  char escaped[8];
  std::snprintf(escaped, sizeof escaped, format, value);
  out += escaped;
}

}  // namespace

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    if (byte < 0x80) {
      if (byte >= 0x20 && byte != 0x7f)
        out += text[0];
      else
        append_escaped(out, "\\x%02x", byte);
      text.remove_prefix(1);
      continue;
    }
    const Utf8Char c = utf8_decode(text);
    const std::string_view bytes = text.substr(0, static_cast<size_t>(c.length));
    if (!c.valid)
      for (const char one : bytes) append_escaped(out, "\\x%02x", static_cast<unsigned char>(one));
    else if (misleads(c.code_point))
      append_escaped(out, "\\u%04x", static_cast<unsigned>(c.code_point));
    else
      out += bytes;
    text.remove_prefix(bytes.size());
  }
  return out;
}

std::string quote(std::string_view foreign) {
  constexpr size_t kMaxBytes = 100;
  const bool cut = foreign.size() > kMaxBytes;
  if (cut) foreign = foreign.substr(0, utf8_complete_prefix(foreign.substr(0, kMaxBytes)));
  return "\"" + escape_controls(utf8_lossy(foreign)) + (cut ? "…\"" : "\"");
}

}  // namespace qwen
