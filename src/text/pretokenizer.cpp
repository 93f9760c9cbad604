#include "text/pretokenizer.h"

#include <cstdint>

#include "base/utf8.h"
#include "text/char_class.h"

namespace qwen {
namespace {

struct Char {
  char32_t code_point = 0;
  size_t length = 0;  // 0 at the end of the text
  CharClass kind = CharClass::kOther;
};

Char char_at(std::string_view text, size_t at) {
  if (at >= text.size()) return {};
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) return {byte, 1, char_class(byte)};
  const Utf8Char c = utf8_decode(text.substr(at));
  return {c.code_point, static_cast<size_t>(c.length), char_class(c.code_point)};
}

bool is_newline(char32_t c) { return c == '\r' || c == '\n'; }

size_t skip_class(std::string_view text, size_t at, CharClass kind) {
  for (Char c = char_at(text, at); c.length > 0 && c.kind == kind; c = char_at(text, at)) at += c.length;
  return at;
}

size_t skip_newlines(std::string_view text, size_t at) {
  while (at < text.size() && is_newline(static_cast<unsigned char>(text[at]))) ++at;
  return at;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d), after the apostrophe at text[0]; 0 = no match. The reference folds case as Unicode
// does: U+017F, the long s, is an s.
size_t contraction(std::string_view text) {
  constexpr char32_t kLongS = 0x17f;
  const Char first = char_at(text, 1);
  if (first.length == 0) return 0;
  if (first.code_point == kLongS) return 1 + first.length;
  if (first.code_point >= 0x80) return 0;
  const auto lower = [](char32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
  const char32_t a = lower(first.code_point);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  const char32_t b = text.size() > 2 ? lower(static_cast<unsigned char>(text[2])) : 0;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at a white space run: up to its last newline, else all of it but the last character where
// something follows (that one then belongs to the next piece), at least one character.
size_t white_space(std::string_view text) {
  size_t at = 0, last_begin = 0, after_newline = 0;
  Char c = char_at(text, 0);
  for (; c.length > 0 && c.kind == CharClass::kSpace; c = char_at(text, at)) {
    last_begin = at;
    at += c.length;
    if (is_newline(c.code_point)) after_newline = at;
  }
  if (after_newline > 0) return after_newline;
  const bool at_end = at == text.size();
  return at_end || last_begin == 0 ? at : last_begin;
}

}  // namespace

size_t next_piece(std::string_view text) {
  const Char first = char_at(text, 0);
  if (first.kind == CharClass::kNumber) return first.length;
  if (first.kind == CharClass::kLetter) return skip_class(text, first.length, CharClass::kLetter);
  if (first.code_point == '\'') {
    if (const size_t length = contraction(text)) return length;
  }
  const Char second = char_at(text, first.length);
  if (second.length > 0 && second.kind == CharClass::kLetter && !is_newline(first.code_point))
    return skip_class(text, first.length, CharClass::kLetter);
  const bool spaced_symbols = first.code_point == ' ' && second.length > 0 && second.kind == CharClass::kOther;
  if (first.kind == CharClass::kOther || spaced_symbols)
    return skip_newlines(text, skip_class(text, first.length, CharClass::kOther));
  return white_space(text);
}

}  // namespace qwen
