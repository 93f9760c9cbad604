// A state machine fed by the JSON parser's events; a file name is checked before it is ever joined to a path.
#include "weights/shard_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/quote.h"
#include "weights/tensor_info.h"

namespace qwen {
namespace {

using Json = nlohmann::json;

// {"metadata": anything, "weight_map": {tensor: file, …}}. Values of other keys are skipped, to a bounded depth.
class IndexHandler {
 public:
  IndexHandler(std::string_view extension, const std::string& path) : extension_(extension), path_(path) {}

  ShardIndex take() {
    if (!seen_map_) fail("has no weight_map; download it again");
    return std::move(index_);
  }

  bool start_object(size_t) {
    if (at_ == At::kStart) return go(At::kTop);
    if (at_ == At::kWeightMap) return go(At::kTensor);
    return enter_skipped();
  }
  bool end_object() {
    if (at_ == At::kTop) return go(At::kEnd);
    if (at_ == At::kTensor) return go(At::kTop);
    return leave_skipped();
  }
  bool start_array(size_t) { return enter_skipped(); }
  bool end_array() { return leave_skipped(); }
  bool key(std::string& text) {
    if (at_ == At::kTensor) return tensor_ = text, go(At::kFile);
    if (at_ != At::kTop) return true;
    if (text != "weight_map") return go(At::kSkipped);
    if (std::exchange(seen_map_, true)) fail("has weight_map twice");
    return go(At::kWeightMap);
  }
  bool string(std::string& text) {
    if (at_ != At::kFile) return scalar();
    add(text);
    return go(At::kTensor);
  }
  bool number_unsigned(uint64_t) { return scalar(); }
  bool number_integer(int64_t) { return scalar(); }
  bool number_float(double, const std::string&) { return scalar(); }
  bool null() { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool binary(Json::binary_t&) { return scalar(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    fail(str("is not valid JSON (at byte ", position, "); download it again"));
  }

 private:
  static constexpr int kMaxSkippedDepth = 16;
  enum class At { kStart, kTop, kWeightMap, kTensor, kFile, kSkipped, kEnd };

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorCode::kBadData, path_ + ": " + what); }
  bool go(At next) {
    at_ = next;
    return true;
  }
  void expect_skipped() const {
    if (at_ == At::kStart) fail("is not a JSON object");
    if (at_ == At::kWeightMap) fail("weight_map is not an object");
    if (at_ == At::kFile) fail(str("weight_map[", quote(tensor_), "] is not a file name"));
  }
  bool enter_skipped() {
    expect_skipped();
    if (++skipped_depth_ > kMaxSkippedDepth) fail(str("is nested deeper than ", kMaxSkippedDepth, " levels"));
    return true;
  }
  bool leave_skipped() { return --skipped_depth_ == 0 ? go(At::kTop) : true; }
  bool scalar() {
    expect_skipped();
    return skipped_depth_ == 0 ? go(At::kTop) : true;
  }
  void add(const std::string& file) {
    const bool plain = file.size() <= 255 && file.find_first_of("/\\") == file.npos && !file.starts_with('.') &&
                       std::none_of(file.begin(), file.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!plain || !file.ends_with(extension_))
      fail(str("weight_map[", quote(tensor_), "] is ", quote(file),
               "; allowed is a plain file name in this folder ending in ", extension_));
    if (index_.size() == kMaxTensors) fail(str("lists more than ", kMaxTensors, " tensors, the most allowed"));
    files_.insert(file);
    if (files_.size() > kMaxShards) fail(str("names more than ", kMaxShards, " files, the most allowed"));
    if (!index_.emplace(tensor_, file).second) fail(str("tensor ", quote(tensor_), " is listed twice"));
  }

  std::string_view extension_;
  const std::string& path_;
  ShardIndex index_;
  std::set<std::string> files_;
  At at_ = At::kStart;
  bool seen_map_ = false;
  int skipped_depth_ = 0;
  std::string tensor_;
};

}  // namespace

ShardIndex parse_shard_index(std::string_view json, std::string_view extension, const std::string& path) {
  if (json.find('\0') != json.npos) throw Error(ErrorCode::kBadData, path + ": holds a NUL byte; download it again");
  IndexHandler handler(extension, path);
  Json::sax_parse(json.begin(), json.end(), &handler);
  return handler.take();
}

}  // namespace qwen
