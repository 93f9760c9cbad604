// JsonWriter: whatever is written, with any bytes for text, is one line of JSON that a general reader reads as the same
// value. The input is a program: each byte opens, closes or writes something, texts and numbers are the bytes behind
// it.
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "server/api/errors.h"
#include "server/api/json_writer.h"

namespace qwen::fuzz {
namespace {

using nlohmann::json;

class Program {
 public:
  explicit Program(std::string_view text) : rest_(text) {}

  json write_value(JsonWriter& out, int depth) {
    const size_t kind = depth > 30 ? next() % 6 : next() % 8;
    switch (kind) {
      case 0:
        out.null();
        return nullptr;
      case 1: {
        const bool flag = next() % 2 == 0;
        out.value(flag);
        return flag;
      }
      case 2:
        return write_number(out, std::bit_cast<int64_t>(bits()));
      case 3:
        return write_number(out, bits());
      case 4:
        return write_double(out, std::bit_cast<double>(bits()));
      case 5: {
        const std::string_view text = bytes();
        out.value(text);
        return utf8_lossy(text);
      }
      case 6:
        return write_array(out, depth);
      default:
        return write_object(out, depth);
    }
  }

 private:
  size_t next() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  uint64_t bits() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | next();
    return value;
  }
  std::string_view bytes() {
    const std::string_view text = rest_.substr(0, next());
    rest_.remove_prefix(std::min(text.size(), rest_.size()));
    return text;
  }

  template <typename Number>
  json write_number(JsonWriter& out, Number number) {
    out.value(number);
    return number;
  }
  json write_double(JsonWriter& out, double number) {
    out.value(number);
    if (!std::isfinite(number)) return nullptr;
    return number;
  }
  json write_array(JsonWriter& out, int depth) {
    json result = json::array();
    out.begin_array();
    while (next() % 4 != 0) result.push_back(write_value(out, depth + 1));
    out.end_array();
    return result;
  }
  json write_object(JsonWriter& out, int depth) {
    json result = json::object();
    out.begin_object();
    while (next() % 4 != 0) {
      const std::string name = std::to_string(result.size()) + std::string(bytes());
      out.key(name);
      result[utf8_lossy(name)] = write_value(out, depth + 1);
    }
    out.end_object();
    return result;
  }

  std::string_view rest_;
};

void check_line(const std::string& text) {
  FUZZ_CHECK(utf8_valid(text));
  for (const char c : text) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20);
}

void check_error_shape(std::string_view text) {
  const std::string error = error_json({.message = std::string(text), .param = std::string(text.substr(0, 64))});
  check_line(error);
  FUZZ_CHECK(json::parse(error).at("error").at("message").is_string());
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  qwen::JsonWriter writer;
  const json expected = Program(text).write_value(writer, 0);
  const std::string written = writer.take();
  check_line(written);
  FUZZ_CHECK(json::parse(written) == expected);
  check_error_shape(text);
  return 0;
}
