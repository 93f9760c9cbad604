#include "server/api/field_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/nearest_name.h"

namespace qwen {
namespace {

constexpr size_t kMaxShownName = 64;
constexpr double kExactInDouble = 9007199254740992.0;  // 2^53: up to it, a double is the number that was written

std::string number_text(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

std::string shown_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= kMaxShownName && std::all_of(name.begin(), name.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
  return plain ? std::string(name) : std::string();
}

void throw_invalid(const std::string& param, std::string_view must) {
  throw Error(ErrorCode::kInvalidValue, str(param, " must ", must), param);
}

std::optional<int64_t> as_integer(const JsonValue& value) {
  if (value.kind != JsonValue::Kind::kNumber) return std::nullopt;
  int64_t number = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto [stop, error] = std::from_chars(value.text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  const std::optional<double> whole = as_number(value);
  if (!whole || std::abs(*whole) > kExactInDouble || std::trunc(*whole) != *whole) return std::nullopt;
  return static_cast<int64_t>(*whole);
}

std::optional<double> as_number(const JsonValue& value) {
  if (value.kind != JsonValue::Kind::kNumber) return std::nullopt;
  double number = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto [stop, error] = std::from_chars(value.text.data(), end, number);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc() ? number : 0.0;  // too small for a double; too large ones were refused with the body
}

FieldReader::FieldReader(const JsonValue& object, Unknown unknown, std::string prefix)
    : object_(object), unknown_(unknown), prefix_(std::move(prefix)) {}

const JsonValue* FieldReader::any(std::string_view name) {
  asked_.push_back(name);
  const JsonValue* value = object_.find(name);
  return value != nullptr && value->is_null() ? nullptr : value;
}

std::optional<std::string> FieldReader::string(std::string_view name, size_t max_bytes) {
  const JsonValue* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) throw_invalid(param(name), "be a string");
  if (value->text.size() > max_bytes) throw_invalid(param(name), str("be at most ", max_bytes, " bytes long"));
  return value->text;
}

std::optional<bool> FieldReader::boolean(std::string_view name) {
  const JsonValue* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (value->kind != JsonValue::Kind::kBool) throw_invalid(param(name), "be true or false");
  return value->boolean;
}

std::optional<int64_t> FieldReader::integer(std::string_view name, int64_t low, int64_t high) {
  const JsonValue* value = any(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> number = as_integer(*value);
  if (!number || *number < low || *number > high)
    throw_invalid(param(name), str("be a whole number from ", low, " to ", high));
  return number;
}

std::optional<double> FieldReader::number_in(std::string_view name, double low, double high, bool low_allowed) {
  const JsonValue* value = any(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<double> number = as_number(*value);
  if (!number || *number < low || *number > high || (*number == low && !low_allowed))
    throw_invalid(param(name), low_allowed
                                   ? str("be a number from ", number_text(low), " to ", number_text(high))
                                   : str("be a number above ", number_text(low), " and at most ", number_text(high)));
  return number;
}

std::optional<double> FieldReader::number(std::string_view name, double low, double high) {
  return number_in(name, low, high, true);
}
std::optional<double> FieldReader::number_above(std::string_view name, double low, double high) {
  return number_in(name, low, high, false);
}

void FieldReader::finish() const {
  if (unknown_ == Unknown::kIgnore) return;
  for (const JsonMember& member : object_.members) {
    if (std::find(asked_.begin(), asked_.end(), member.key) != asked_.end()) continue;
    if (member.key.empty()) throw Error(ErrorCode::kUnknownField, "this route has no field with an empty name, \"\"");
    const std::string name = shown_name(member.key);
    if (name.empty())
      throw Error(ErrorCode::kUnknownField,
                  str("the body has a field that this route does not know; its name is not plain ASCII of at most ",
                      kMaxShownName, " bytes"));
    const std::optional<std::string_view> meant = nearest_name(name, asked_);
    throw Error(ErrorCode::kUnknownField,
                str("this route has no field ", param(name), meant ? "; the nearest one is " + param(*meant) : ""),
                param(name));
  }
}

}  // namespace qwen
