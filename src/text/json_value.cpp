#include "text/json_value.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json_string.h"
#include "text/python_number.h"

namespace qwen {
namespace {

// Python refuses to convert longer integers (sys.set_int_max_str_digits).
constexpr size_t kMaxIntegerDigits = 4300;

[[noreturn]] void bad(const std::string& problem) { throw Error(ErrorCode::kInvalidValue, str("JSON: ", problem)); }

// A repeated key keeps its first place and takes the last value, as a Python dict does. Sorted rather than hashed: no
// choice of keys makes this slow.
void join_repeated_keys(std::vector<JsonMember>& members) {
  std::vector<size_t> order(members.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return members[a].key < members[b].key; });
  std::vector<bool> repeated(members.size(), false);
  bool any = false;
  for (size_t i = 1, first = 0; i < order.size(); ++i) {
    if (members[order[i]].key != members[order[first]].key) {
      first = i;
      continue;
    }
    members[order[first]].value = std::move(members[order[i]].value);
    repeated[order[i]] = any = true;
  }
  if (!any) return;
  std::vector<JsonMember> unique;
  for (size_t i = 0; i < members.size(); ++i)
    if (!repeated[i]) unique.push_back(std::move(members[i]));
  members = std::move(unique);
}

// nlohmann::json's SAX interface; the parser keeps its own stack, and kMaxJsonDepth bounds every recursion over the
// result.
class Builder {
 public:
  explicit Builder(size_t max_values) : max_values_(max_values) {}

  JsonValue take() { return std::move(root_); }

  bool null() { return add({}); }
  bool boolean(bool value) { return add({JsonValue::Kind::kBool, value, {}, {}, {}}); }
  bool number_integer(int64_t value) { return number(std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return number(std::to_string(value)); }
  bool number_float(double value, const std::string& text) {
    const bool integer =
        text.find_first_of(".eE") == std::string::npos;  // too big for 64 bits: digits are kept as they are
    if (integer && text.size() > kMaxIntegerDigits) bad(str("an integer has more than ", kMaxIntegerDigits, " digits"));
    return number(integer ? text : python_float(value));
  }
  bool string(std::string& value) { return add({JsonValue::Kind::kString, false, std::move(value), {}, {}}); }
  bool start_object(size_t) { return open(JsonValue::Kind::kObject); }
  bool start_array(size_t) { return open(JsonValue::Kind::kArray); }
  bool key(std::string& value) {
    keys_.back() = std::move(value);
    return true;
  }
  bool end_object() {
    if (open_.back().members.size() > 1) join_repeated_keys(open_.back().members);
    return close();
  }
  bool end_array() { return close(); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& problem) {
    if (problem.id == 406) bad("a number is out of range");
    bad(str("not valid at byte ", position));
  }

 private:
  bool number(std::string text) { return add({JsonValue::Kind::kNumber, false, std::move(text), {}, {}}); }

  // Before the value is stored; a container when it opens.
  void count() {
    if (++values_ > max_values_) bad(str("more than ", max_values_, " values"));
  }

  bool open(JsonValue::Kind kind) {
    if (open_.size() >= static_cast<size_t>(kMaxJsonDepth)) bad(str("nested deeper than ", kMaxJsonDepth, " levels"));
    count();
    open_.push_back({kind, false, {}, {}, {}});
    keys_.emplace_back();
    return true;
  }

  bool close() {
    JsonValue value = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return put(std::move(value));
  }

  bool add(JsonValue value) {
    count();
    return put(std::move(value));
  }

  bool put(JsonValue value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (open_.back().is_array())
      open_.back().items.push_back(std::move(value));
    else
      open_.back().members.push_back({std::move(keys_.back()), std::move(value)});
    return true;
  }

  const size_t max_values_;
  size_t values_ = 0;
  JsonValue root_;
  std::vector<JsonValue> open_;    // containers not yet closed, the innermost last
  std::vector<std::string> keys_;  // the current key of each
};

void append_json(std::string& out, const JsonValue& value) {
  std::string_view separator;
  switch (value.kind) {
    case JsonValue::Kind::kNull:
      out += "null";
      break;
    case JsonValue::Kind::kBool:
      out += value.boolean ? "true" : "false";
      break;
    case JsonValue::Kind::kNumber:
      out += value.text;
      break;
    case JsonValue::Kind::kString:
      append_json_string(out, value.text);
      break;
    case JsonValue::Kind::kArray:
      out += '[';
      for (const JsonValue& item : value.items) {
        out += separator;
        append_json(out, item);
        separator = ", ";
      }
      out += ']';
      break;
    case JsonValue::Kind::kObject:
      out += '{';
      for (const JsonMember& member : value.members) {
        out += separator;
        append_json_string(out, member.key);
        out += ": ";
        append_json(out, member.value);
        separator = ", ";
      }
      out += '}';
  }
}

}  // namespace

bool JsonValue::truthy() const {
  switch (kind) {
    case Kind::kNull:
      return false;
    case Kind::kBool:
      return boolean;
    case Kind::kNumber:
      return text.find_first_of("123456789") < text.find('e');  // 0, -0.0, 0e5 are false
    case Kind::kString:
      return !text.empty();
    case Kind::kArray:
      return !items.empty();
    case Kind::kObject:
      return !members.empty();
  }
  return false;
}

const JsonValue* JsonValue::find(std::string_view key) const {
  for (const JsonMember& member : members)
    if (member.key == key) return &member.value;
  return nullptr;
}

JsonValue parse_json(std::string_view text, size_t max_values) {
  Builder builder(max_values);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::string python_json(const JsonValue& value) {
  std::string out;
  append_json(out, value);
  return out;
}

std::string python_json(std::string_view json_text) { return python_json(parse_json(json_text)); }

}  // namespace qwen
