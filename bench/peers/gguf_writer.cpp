// See gguf_writer.h.
#include "peers/gguf_writer.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace qwen {
namespace {

// GGUF's numbers for the types of values.
constexpr uint32_t kInt32 = 5, kUint32 = 4, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9;
constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;

template <typename T>
void append(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out += text;
}

constexpr uint64_t aligned(uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

GgufWriter::~GgufWriter() {
  file_.reset();
  if (partial_) ::unlink(partial_path_.c_str());
}

void GgufWriter::fail(const char* action) const {
  throw Error(ErrorCode::kCannotCreate, str(path_.string(), ": cannot ", action, ": ", std::strerror(errno)));
}

void GgufWriter::key(std::string_view name, uint32_t type) {
  QWEN_CHECK(file_ == nullptr);
  append_text(keys_, name);
  append(keys_, type);
  ++num_keys_;
}

void GgufWriter::set_uint(std::string_view name, uint32_t value) { key(name, kUint32), append(keys_, value); }
void GgufWriter::set_float(std::string_view name, float value) { key(name, kFloat32), append(keys_, value); }
void GgufWriter::set_bool(std::string_view name, bool value) {
  key(name, kBool), append(keys_, static_cast<uint8_t>(value ? 1 : 0));
}
void GgufWriter::set_text(std::string_view name, std::string_view value) {
  key(name, kString), append_text(keys_, value);
}

void GgufWriter::set_texts(std::string_view name, std::span<const std::string> values) {
  key(name, kArray);
  append(keys_, kString);
  append(keys_, static_cast<uint64_t>(values.size()));
  for (const std::string& value : values) append_text(keys_, value);
}

void GgufWriter::set_ints(std::string_view name, std::span<const int32_t> values) {
  key(name, kArray);
  append(keys_, kInt32);
  append(keys_, static_cast<uint64_t>(values.size()));
  for (const int32_t value : values) append(keys_, value);
}

void GgufWriter::declare(std::string_view name, GgmlType type, const Shape& shape) {
  QWEN_CHECK(file_ == nullptr);
  append_text(tensors_, name);
  append(tensors_, static_cast<uint32_t>(shape.rank()));
  for (int i = shape.rank(); i-- > 0;) append(tensors_, static_cast<uint64_t>(shape[i]));
  append(tensors_, static_cast<uint32_t>(type));
  append(tensors_, data_bytes_);
  sizes_.push_back(ggml_bytes(type, static_cast<uint64_t>(shape.num_elements())));
  data_bytes_ = aligned(data_bytes_ + sizes_.back());
}

void GgufWriter::begin() {
  QWEN_CHECK(file_ == nullptr);
  partial_path_ = path_.string() + ".partial";
  file_.reset(std::fopen(partial_path_.c_str(), "wbe"));
  if (file_ == nullptr) fail("create the file");
  partial_ = true;
  std::string header = "GGUF";
  append(header, kVersion);
  append(header, static_cast<uint64_t>(sizes_.size()));
  append(header, num_keys_);
  header += keys_ + tensors_;
  put(std::as_bytes(std::span(header)));
  pad();
}

void GgufWriter::put(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail("write");
  position_ += bytes.size();
}

void GgufWriter::pad() {
  constexpr std::array<std::byte, kAlignment> kZeros{};
  put(std::span(kZeros).first(aligned(position_) - position_));
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  QWEN_CHECK(file_ != nullptr && tensor_ < sizes_.size() && bytes.size() <= sizes_[tensor_] - in_tensor_);
  put(bytes);
  in_tensor_ += bytes.size();
  if (in_tensor_ < sizes_[tensor_]) return;
  pad();
  ++tensor_;
  in_tensor_ = 0;
}

void GgufWriter::finish() {
  QWEN_CHECK(file_ != nullptr && tensor_ == sizes_.size());
  if (std::fflush(file_.get()) != 0) fail("write");
  if (std::fclose(file_.release()) != 0) fail("write");
  if (::rename(partial_path_.c_str(), path_.c_str()) != 0) fail("complete the file");
  partial_ = false;
}

}  // namespace qwen
