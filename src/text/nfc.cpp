#include "text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "text/char_class.h"

namespace qwen {
namespace {

// The longest canonical decomposition of one code point has 4 code points (Unicode 16); utf8proc asks for the room by
// its result.
constexpr int kMaxDecomposition = 16;

void append_decomposed(std::vector<utf8proc_int32_t>& out, char32_t code_point) {
  utf8proc_int32_t buffer[kMaxDecomposition];
  int boundclass = 0;
  const utf8proc_ssize_t n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), buffer, kMaxDecomposition,
                              static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundclass);
  QWEN_CHECK(n >= 0 && n <= kMaxDecomposition);
  out.insert(out.end(), buffer, buffer + n);
}

// Marks that the reference's Unicode version does not know are to it of class 0; the table leaves them out.
int combining_class(utf8proc_int32_t code_point) {
  return nfc_may_change(static_cast<char32_t>(code_point)) ? utf8proc_get_property(code_point)->combining_class : 0;
}

// Sorts each run of combining marks by class. utf8proc's own ordering is an insertion sort, quadratic in the length of
// a run.
void order_canonically(std::vector<utf8proc_int32_t>& text) {
  auto begin = text.begin();
  while (begin != text.end()) {
    begin = std::find_if(begin, text.end(), [](utf8proc_int32_t c) { return combining_class(c) != 0; });
    const auto end = std::find_if(begin, text.end(), [](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

void append_normalized(std::string& out, std::string_view text) {
  std::vector<utf8proc_int32_t> decomposed;
  decomposed.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = utf8_decode(text);
    append_decomposed(decomposed, c.code_point);
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  order_canonically(decomposed);
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(decomposed.data(), static_cast<utf8proc_ssize_t>(decomposed.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  QWEN_CHECK(length >= 0);
  for (utf8proc_ssize_t i = 0; i < length; ++i)
    utf8_append(out, static_cast<char32_t>(decomposed[static_cast<size_t>(i)]));
}

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& storage) {
  bool changed = false;
  size_t done = 0;      // text before this is in `storage` (once `changed`)
  size_t previous = 0;  // where the last character began that may start a composition
  size_t at = 0;
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      previous = at++;
      continue;
    }
    const Utf8Char c = utf8_decode(text.substr(at));
    if (!nfc_may_change(c.code_point)) {
      previous = at;
      at += static_cast<size_t>(c.length);
      continue;
    }
    size_t end = at;
    while (end < text.size()) {
      const Utf8Char next = utf8_decode(text.substr(end));
      if (!nfc_may_change(next.code_point)) break;
      end += static_cast<size_t>(next.length);
    }
    if (!changed) storage.clear();
    changed = true;
    const size_t begin = std::max(previous, done);
    storage.append(text.substr(done, begin - done));
    append_normalized(storage, text.substr(begin, end - begin));
    previous = done = at = end;
  }
  if (!changed) return text;
  storage.append(text.substr(done));
  return storage;
}

}  // namespace qwen
