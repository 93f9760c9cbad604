// Takes typed, bounded fields out of a request object. Every wrong value names the field and what is allowed; null is
// no value. A field that nobody asked for is an error that names it, and the known one that is near (strict), or is
// ignored.
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
    kReject,  // the native routes
    kIgnore,  // /v1
  };

  // `object` must outlive the reader. `prefix` stands before the names in errors ("stream_options.").
  FieldReader(const JsonValue& object, Unknown unknown, std::string prefix = {});

  std::optional<std::string> string(std::string_view name, size_t max_bytes = SIZE_MAX);
  std::optional<bool> boolean(std::string_view name);
  std::optional<int64_t> integer(std::string_view name, int64_t low, int64_t high);
  std::optional<double> number(std::string_view name, double low, double high);
  std::optional<double> number_above(std::string_view name, double low, double high);  // low excluded
  const JsonValue* any(std::string_view name);                                         // nullptr where absent or null

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

// A client's own name for a field where it is fit to be shown back: plain ASCII, not long. Else empty.
std::string shown_name(std::string_view name);

// Where a JSON number is an integer of 64 bits, or one of 53 bits that is written as 3.0 or 1e3.
std::optional<int64_t> as_integer(const JsonValue& value);
std::optional<double> as_number(const JsonValue& value);

}  // namespace qwen
