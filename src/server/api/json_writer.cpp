#include "server/api/json_writer.h"

#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace qwen {

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    if (byte >= 0x80) {
      const Utf8Char c = utf8_decode(text);
      if (c.valid)
        out.append(text.substr(0, static_cast<size_t>(c.length)));
      else
        utf8_append(out, 0xfffd);
      text.remove_prefix(static_cast<size_t>(c.length));
      continue;
    }
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20 || byte == 0x7f)
          out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15]});
        else
          out += static_cast<char>(byte);
    }
    text.remove_prefix(1);
  }
  out += '"';
}

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
  append_json_string(out_, name);
  out_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_json_string(out_, text);
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
