// A JSON document that keeps what a chat template shows: the order of keys and the numbers as Python would print them
// (1 and 1.0 apart, integers of any size). For request texts; model tables have their own reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct JsonMember;

struct JsonValue {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  std::string text;              // a string's value (UTF-8), or a number as Python prints it
  std::vector<JsonValue> items;  // kArray
  std::vector<JsonMember>
      members;  // kObject; keys are unique: of a repeated key the last value stands in the first place

  bool is_null() const { return kind == Kind::kNull; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_object() const { return kind == Kind::kObject; }
  bool is_true() const { return kind == Kind::kBool && boolean; }
  bool is_false() const { return kind == Kind::kBool && !boolean; }
  bool truthy() const;  // as Python and Jinja see it

  // The member's value, or nullptr where this is not an object or has no such key.
  const JsonValue* find(std::string_view key) const;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

inline constexpr int kMaxJsonDepth = 100;
// A value takes a hundred bytes and more where its text takes two: the number of values bounds the memory, not the size
// of the text.
inline constexpr size_t kMaxJsonValues = size_t{1} << 20;

// Errors: kInvalidValue with the byte position (syntax, invalid UTF-8, nesting beyond kMaxJsonDepth, a number out of
// range, more than `max_values` values, containers included).
JsonValue parse_json(std::string_view text, size_t max_values = kMaxJsonValues);

// json.dumps(value, ensure_ascii=False): ", " and ": " between, non-ASCII kept, control characters escaped.
std::string python_json(const JsonValue& value);
std::string python_json(std::string_view json_text);

}  // namespace qwen
