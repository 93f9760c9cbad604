// A state machine fed by the JSON parser's events: it knows at every place what the format allows there.
#include "weights/safetensors_header.h"

#include <cstddef>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/quote.h"
#include "base/tensor_view.h"
#include "weights/tensor_info.h"

namespace qwen {
namespace {

using Json = nlohmann::json;

// {"__metadata__": {text: text, …}, name: {"dtype": text, "shape": [n, …], "data_offsets": [n, n]}, …}: at every place
// only what the format allows there is accepted, so depth is at most 3.
class HeaderHandler {
 public:
  explicit HeaderHandler(const std::string& path) : path_(path) {}
  std::vector<SafetensorsEntry> take() { return std::move(entries_); }

  bool start_object(size_t) {
    if (at_ == At::kStart) return go(At::kTop);
    if (at_ == At::kName) return go(At::kTensor);
    if (at_ == At::kMetadataName) return go(At::kMetadata);
    unexpected("an object");
  }
  bool end_object() {
    if (at_ == At::kTop) return go(At::kEnd);
    if (at_ == At::kTensor) check_complete();
    return go(At::kTop);
  }
  bool key(std::string& text) {
    switch (at_) {
      case At::kTop:
        return text == "__metadata__" ? go(At::kMetadataName) : begin_tensor(text);
      case At::kMetadata:
        return go(At::kMetadataValue);
      default:
        return begin_field(text);
    }
  }
  bool start_array(size_t) {
    if (at_ == At::kShapeField) return go(At::kShape);
    if (at_ == At::kOffsetsField) return go(At::kOffsets);
    unexpected("an array");
  }
  bool end_array() { return go(At::kTensor); }
  bool string(std::string& text) {
    if (at_ == At::kMetadataValue) return go(At::kMetadata);
    if (at_ != At::kDtypeField) unexpected("text");
    entries_.back().dtype = text;
    return go(At::kTensor);
  }
  bool number_unsigned(uint64_t value) {
    if (at_ == At::kShape) return add_dimension(value);
    if (at_ == At::kOffsets) return add_offset(value);
    unexpected("a number");
  }
  bool number_integer(int64_t) { unexpected("a negative number"); }
  bool number_float(double, const std::string&) { unexpected("a number that is not a whole number below 2^64"); }
  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a boolean"); }
  bool binary(Json::binary_t&) { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    fail(str("the header is not valid JSON (at its byte ", position, "); download the file again"));
  }

 private:
  enum class At {
    kStart,
    kTop,
    kName,
    kTensor,
    kDtypeField,
    kShapeField,
    kShape,
    kOffsetsField,
    kOffsets,
    kMetadataName,
    kMetadata,
    kMetadataValue,
    kEnd,
  };

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorCode::kBadData, path_ + ": " + what); }
  [[noreturn]] void unexpected(const char* what) const {
    if (at_ == At::kStart) fail("the header is not a JSON object; this is no safetensors file");
    if (at_ == At::kMetadata || at_ == At::kMetadataName || at_ == At::kMetadataValue)
      fail(str("the header's __metadata__ holds ", what, " where the format wants text"));
    fail(str("tensor ", quote(entries_.empty() ? "" : entries_.back().name), ": the header holds ", what,
             " where the format wants {\"dtype\": text, \"shape\": [n, …], \"data_offsets\": [begin, end]}"));
  }
  bool go(At next) {
    at_ = next;
    return true;
  }
  bool begin_tensor(const std::string& name) {
    if (entries_.size() == kMaxTensors)
      fail(str("the header lists more than ", kMaxTensors, " tensors, the most allowed"));
    entries_.push_back({.name = name});
    has_dtype_ = has_shape_ = false;
    num_offsets_ = -1;
    return go(At::kName);
  }
  bool begin_field(const std::string& field) {
    if (field == "dtype" && !has_dtype_) return has_dtype_ = true, go(At::kDtypeField);
    if (field == "shape" && !has_shape_) return has_shape_ = true, go(At::kShapeField);
    if (field == "data_offsets" && num_offsets_ < 0) return num_offsets_ = 0, go(At::kOffsetsField);
    fail(str("tensor ", quote(entries_.back().name), ": field ", quote(field), " is unknown or repeated"));
  }
  bool add_dimension(uint64_t value) {
    auto& shape = entries_.back().shape;
    if (shape.size() == Shape::kMaxRank)
      fail(str("tensor ", quote(entries_.back().name), ": shape has more than ", Shape::kMaxRank, " dimensions"));
    shape.push_back(value);
    return true;
  }
  bool add_offset(uint64_t value) {
    if (num_offsets_ == 2)
      fail(str("tensor ", quote(entries_.back().name), ": data_offsets has more than two numbers"));
    entries_.back().data_offsets[static_cast<size_t>(num_offsets_++)] = value;
    return true;
  }
  void check_complete() const {
    if (has_dtype_ && has_shape_ && num_offsets_ == 2) return;
    fail(str("tensor ", quote(entries_.back().name), ": the header lacks its ",
             !has_dtype_   ? "dtype"
             : !has_shape_ ? "shape"
                           : "two data_offsets"));
  }

  const std::string& path_;
  std::vector<SafetensorsEntry> entries_;
  At at_ = At::kStart;
  bool has_dtype_ = false, has_shape_ = false;
  int num_offsets_ = -1;  // -1: the field has not been seen
};

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, const std::string& path) {
  // The parser takes a NUL for the end of the text and skips a byte order mark; the format allows neither.
  if (json.empty() || json.front() != '{')
    throw Error(ErrorCode::kBadData, path + ": the header does not begin with '{'; this is no safetensors file");
  if (const size_t nul = json.find('\0'); nul != json.npos)
    throw Error(ErrorCode::kBadData,
                str(path, ": the header holds a NUL byte (at its byte ", nul, "); download the file again"));
  HeaderHandler handler(path);
  Json::sax_parse(json.begin(), json.end(), &handler);
  return handler.take();
}

}  // namespace qwen
