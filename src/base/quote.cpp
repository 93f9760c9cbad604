// The cut is made between characters, before escaping.
#include "base/quote.h"

#include <cstdio>

#include "base/utf8.h"

namespace qwen {

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      out += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
      out += escaped;
    }
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
