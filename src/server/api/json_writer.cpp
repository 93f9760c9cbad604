#include "server/api/json_writer.h"

#include <charconv>
#include <cmath>

#include "base/json_string.h"
#include "base/utf8.h"

namespace qwen {
namespace {

void append_text(std::string& out, std::string_view text) {
  if (utf8_valid(text))
    append_json_string(out, text);
  else
    append_json_string(out, utf8_lossy(text));
}

}  // namespace

void JsonWriter::separate() {
  if (needs_comma_) out_ += ',';
  needs_comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::scalar(std::string_view text) {
  separate();
  out_.append(text);
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_text(out_, name);
  out_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_text(out_, text);
  return *this;
}

JsonWriter& JsonWriter::value(bool flag) { return scalar(flag ? "true" : "false"); }
JsonWriter& JsonWriter::null() { return scalar("null"); }
JsonWriter& JsonWriter::raw(std::string_view json) { return scalar(json); }

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return scalar({text, static_cast<size_t>(end - text)});
}

JsonWriter& JsonWriter::fixed(double number, int digits) {
  if (!std::isfinite(number) || std::fabs(number) > 1e15) return value(number);
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, digits).ptr;
  return scalar({text, static_cast<size_t>(end - text)});
}

}  // namespace qwen
