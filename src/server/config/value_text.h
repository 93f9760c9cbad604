// How the value of a setting is read from text and shown as text. A function that reads throws Disallowed, which says
// in words what the value may be; resolve_config adds where the value came from.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace qwen {

struct Disallowed {
  std::string allowed;  // continues "must be …"
};

template <typename Number>
Number parse_number(const std::string& text, Number low, Number high) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !(value >= low && value <= high))
    throw Disallowed{
        str(std::is_floating_point_v<Number> ? "a number from " : "a whole number from ", low, " to ", high)};
  return value;
}

template <typename Names = std::initializer_list<std::string_view>>
std::string one_of(const std::string& text, const Names& allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const std::string_view name : allowed) list.append(list.empty() ? "" : ", ").append(name);
  throw Disallowed{"one of " + list};
}

bool parse_bool(const std::string& text);               // YAML's, Python's and the shell's words, 1 and 0
size_t parse_bytes(const std::string& text);            // "8GiB", "512M", "1000000": K, M, G are powers of 1024
LogLevel parse_log_level(const std::string& text);      // any case
std::string parse_log_format(const std::string& text);  // json, or Python's: see base/log_format.h
std::string parse_log_file(const std::string& text);
size_t parse_log_size(const std::string& text);  // 0, or no less than some lines need

// Separated by commas or spaces; each must pass `good`, `each` says in words what that is.
std::vector<std::string> parse_list(const std::string& text, bool (*good)(std::string_view), const char* each);

inline std::string to_text(const std::string& value) { return value; }
inline std::string to_text(bool value) { return value ? "true" : "false"; }
inline std::string to_text(std::chrono::seconds value) { return std::to_string(value.count()); }
std::string to_text(double value);  // the shortest text that is read as the same number
std::string to_text(float value);
std::string to_text(LogLevel level);
std::string to_text(const std::vector<std::string>& list);
template <typename Number>
std::string to_text(Number value) {
  return str(value);
}

}  // namespace qwen
