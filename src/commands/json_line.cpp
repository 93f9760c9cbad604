#include "commands/json_line.h"

#include <charconv>

#include "base/error.h"

namespace qwen {

JsonValue parse_object(std::string_view line) {
  JsonValue value = parse_json(line);
  if (!value.is_object()) throw Error(ErrorCode::kInvalidValue, "a line must be a JSON object");
  return value;
}

std::vector<TokenId> ids_member(const JsonValue& ids) {
  const auto bad = [] {
    return Error(ErrorCode::kInvalidValue, "\"ids\" must be a list of non-negative integers", "ids");
  };
  if (!ids.is_array()) throw bad();
  std::vector<TokenId> out;
  out.reserve(ids.items.size());
  for (const JsonValue& item : ids.items) {
    TokenId id = -1;
    const char* const end = item.text.data() + item.text.size();
    if (item.kind != JsonValue::Kind::kNumber) throw bad();
    const auto [at, problem] = std::from_chars(item.text.data(), end, id);
    if (problem != std::errc{} || at != end || id < 0) throw bad();
    out.push_back(id);
  }
  return out;
}

bool bool_member(const JsonValue& object, std::string_view key, bool default_value) {
  const JsonValue* value = object.find(key);
  if (value == nullptr || value->is_null()) return default_value;
  if (value->kind != JsonValue::Kind::kBool)
    throw Error(ErrorCode::kInvalidValue, str("\"", key, "\" must be true or false"), std::string(key));
  return value->boolean;
}

}  // namespace qwen
