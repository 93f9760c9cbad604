// Takes typed, bounded fields out of a request object. Every wrong value names the field and what is allowed; a field
// that nobody asked for is named with the nearest known one (strict) or ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_value.h"

namespace qwen {

class FieldReader {
 public:
  enum class Unknown {
    kReject,  // the native routes: an unknown field and null are errors
    kIgnore,  // /v1: unknown fields are ignored, null counts as absent
  };

  // `object` must outlive the reader. `prefix` stands before the names in errors ("stream_options.").
  FieldReader(const JsonValue& object, Unknown unknown, std::string prefix = {});

  std::optional<std::string> string(std::string_view name, size_t max_bytes = SIZE_MAX);
  std::optional<bool> boolean(std::string_view name);
  std::optional<int64_t> integer(std::string_view name, int64_t low, int64_t high);
  std::optional<double> number(std::string_view name, double low, double high);
  std::optional<double> number_above(std::string_view name, double low, double high);  // low excluded
  const JsonValue* any(std::string_view name);                                         // null where absent

  // Errors: kUnknownField for a field that none of the calls above asked for (kReject).
  void finish() const;

  std::string param(std::string_view name) const { return prefix_ + std::string(name); }

 private:
  std::optional<double> number_in(std::string_view name, double low, double high, bool low_allowed);

  const JsonValue& object_;
  const Unknown unknown_;
  const std::string prefix_;
  std::vector<std::string_view> asked_;
};

[[noreturn]] void throw_invalid(const std::string& param, std::string_view must);  // "<param> must <must>"

// Where a JSON number is written as an integer of 64 bits.
std::optional<int64_t> as_integer(const JsonValue& value);
std::optional<double> as_number(const JsonValue& value);

}  // namespace qwen
