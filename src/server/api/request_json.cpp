#include "server/api/request_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace qwen {
namespace {

[[noreturn]] void bad(const std::string& problem) { throw Error(ErrorCode::kInvalidValue, problem); }

// Looks at every event of nlohmann's parser (which keeps its own stack) and stores nothing but the keys of open
// objects.
class Checker {
 public:
  bool null() { return count(); }
  bool boolean(bool) { return count(); }
  bool number_integer(int64_t) { return count(); }
  bool number_unsigned(uint64_t) { return count(); }
  bool number_float(double, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos) bad("the body holds an integer that 64 bits cannot hold");
    return count();
  }
  bool string(std::string&) { return count(); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(); }
  bool start_array(size_t) { return open(); }
  bool key(std::string& name) {
    keys_.back().push_back(std::move(name));
    return true;
  }
  // Sorted rather than hashed: no choice of keys makes this slow.
  bool end_object() {
    auto& names = keys_.back();
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end())
      bad("the body gives the same key twice in one object");
    return end_array();
  }
  bool end_array() {
    keys_.pop_back();
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& problem) {
    if (problem.id == 406) bad("the body holds a number that is out of range");
    bad(str("the body is not valid JSON at byte ", position));
  }

 private:
  bool open() {
    if (keys_.size() >= static_cast<size_t>(kMaxRequestDepth))
      bad(str("the body is nested deeper than ", kMaxRequestDepth, " levels"));
    keys_.emplace_back();
    return count();
  }
  bool count() {
    if (++values_ > kMaxRequestValues) bad(str("the body holds more than ", kMaxRequestValues, " values"));
    return true;
  }

  std::vector<std::vector<std::string>> keys_;  // of each open container, the innermost last
  size_t values_ = 0;
};

}  // namespace

JsonValue parse_request(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) bad("the body is empty; it must be a JSON object");
  // The parser would take a NUL for the end and not look at what follows.
  if (body.find('\0') != std::string_view::npos) bad("the body holds a NUL byte");
  if (!utf8_valid(body)) bad("the body is not UTF-8");
  Checker checker;
  nlohmann::json::sax_parse(body.begin(), body.end(), &checker);
  JsonValue value = parse_json(body);
  if (!value.is_object()) bad("the body must be a JSON object");
  return value;
}

}  // namespace qwen
