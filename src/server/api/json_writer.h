// Writes JSON into a string. It cannot throw on what a model says: invalid UTF-8 becomes U+FFFD, infinities and NaN
// become null. The output is one line; commas are placed by themselves.
//   JsonWriter json; json.begin_object(); json.field("id", id); json.key("usage"); … json.end_object(); json.take()
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace qwen {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag);
  JsonWriter& value(double number);
  JsonWriter& null();
  template <std::integral Int>
  requires(!std::same_as<Int, bool>) JsonWriter& value(Int number) { return scalar(std::to_string(number)); }
  JsonWriter& fixed(double number, int digits);  // with that many digits after the point
  JsonWriter& raw(std::string_view json);        // already JSON

  template <typename T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  std::string take() { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& scalar(std::string_view text);
  void separate();

  std::string out_;
  bool needs_comma_ = false;
};

}  // namespace qwen
