#include "server/api/request_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "server/api/field_reader.h"

namespace qwen {
namespace {

constexpr size_t kMaxPlaceBytes = 200;

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
    count();
    if (text.find_first_of(".eE") == std::string::npos)
      refuse("be an integer that 64 bits can hold", "the body holds an integer that 64 bits cannot hold");
    return true;
  }
  bool string(std::string&) { return count(); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(false); }
  bool start_array(size_t) { return open(true); }
  bool key(std::string& name) {
    open_.back().keys.push_back(std::move(name));
    return true;
  }
  // Sorted rather than hashed: no choice of keys makes this slow.
  bool end_object() {
    std::vector<std::string> names = std::move(open_.back().keys);
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
      open_.back().keys = {std::move(*twice)};
      refuse("be given only once in one object", "the body gives the same key twice in one object");
    }
    return end_array();
  }
  bool end_array() {
    open_.pop_back();
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& problem) {
    if (problem.id == 406) {
      count();
      refuse("be a number that a double can hold", "the body holds a number that is out of range");
    }
    bad(str("the body is not valid JSON at byte ", position));
  }

 private:
  struct Container {
    bool is_array = false;
    size_t values = 0;              // of an array so far, the current one counted
    std::vector<std::string> keys;  // of an object so far
  };

  bool open(bool is_array) {
    if (open_.size() >= static_cast<size_t>(kMaxRequestDepth))
      bad(str("the body is nested deeper than ", kMaxRequestDepth, " levels"));
    count();
    open_.push_back({.is_array = is_array});
    return true;
  }
  bool count() {
    if (++values_ > kMaxRequestValues) bad(str("the body holds more than ", kMaxRequestValues, " values"));
    if (!open_.empty()) ++open_.back().values;
    return true;
  }

  // Where the current value stands, "messages[0].role"; empty where a name on the way there is not fit to be shown.
  std::string place() const {
    std::string path;
    for (const Container& container : open_) {
      if (container.is_array) {
        path += str("[", container.values - 1, "]");
        continue;
      }
      const std::string name = shown_name(container.keys.back());
      if (name.empty()) return {};
      path += (path.empty() ? "" : ".") + name;
    }
    return path.size() <= kMaxPlaceBytes ? path : std::string();
  }

  // `unnamed`: the problem where the place is not fit to be shown.
  [[noreturn]] void refuse(std::string_view must, const char* unnamed) const {
    const std::string where = place();
    if (where.empty()) bad(unnamed);
    throw_invalid(where, must);
  }

  std::vector<Container> open_;  // the innermost last
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
