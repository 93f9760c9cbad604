// Offsets are fixed by the declarations, so data may be written in any order; the rename makes the file appear whole or
// not at all.
#include "weights/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_size_signal.h"

namespace qwen {
namespace {

const char* safetensors_dtype(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kF8E4M3:
      return "F8_E4M3";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
  }
  return "";
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path)
    : path_(std::move(path)), partial_path_(path_.string() + ".partial") {}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_path_.c_str());
}

void SafetensorsWriter::fail(const char* action) const {
  throw Error(ErrorCode::kCannotCreate, str(path_.string(), ": cannot ", action, ": ", std::strerror(errno)));
}

size_t SafetensorsWriter::declare(std::string_view name, DType dtype, const Shape& shape) {
  QWEN_CHECK(fd_ < 0);
  TensorInfo info{.name = std::string(name), .dtype = dtype, .shape = shape, .offset = data_bytes_};
  info.size_bytes = static_cast<uint64_t>(shape.num_elements()) * dtype_size(dtype);
  data_bytes_ += info.size_bytes;
  tensors_.push_back(std::move(info));
  return tensors_.size() - 1;
}

void SafetensorsWriter::set_metadata(std::string key, std::string value) {
  QWEN_CHECK(fd_ < 0);
  metadata_.emplace_back(std::move(key), std::move(value));
}

std::string SafetensorsWriter::header() const {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata_) header["__metadata__"][key] = value;
  for (const TensorInfo& tensor : tensors_) {
    nlohmann::ordered_json shape = nlohmann::ordered_json::array();
    for (int i = 0; i < tensor.shape.rank(); ++i) shape.push_back(tensor.shape[i]);
    header[tensor.name] = {{"dtype", safetensors_dtype(tensor.dtype)},
                           {"shape", shape},
                           {"data_offsets", {tensor.offset, tensor.offset + tensor.size_bytes}}};
  }
  std::string json = header.dump();
  json.append((8 - json.size() % 8) % 8, ' ');  // the data starts aligned
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(json.size() >> shift & 0xff);
  return bytes + json;
}

void SafetensorsWriter::begin() {
  QWEN_CHECK(fd_ < 0);
  fd_ = ::open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("create the file");
  const std::string bytes = header();
  data_start_ = bytes.size();
  write_file(0, std::as_bytes(std::span(bytes)));
}

void SafetensorsWriter::write_file(uint64_t file_offset, std::span<const std::byte> bytes) {
  const FileSizeSignalBlocked blocked;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(file_offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("write");
    file_offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  QWEN_CHECK(fd_ >= 0 && bytes.size() <= data_bytes_ - next_);
  write_file(data_start_ + next_, bytes);
  next_ += bytes.size();
  written_ += bytes.size();
}

void SafetensorsWriter::write_at(size_t tensor, uint64_t offset_in_tensor, std::span<const std::byte> bytes) {
  QWEN_CHECK(fd_ >= 0 && tensor < tensors_.size());
  const TensorInfo& info = tensors_[tensor];
  QWEN_CHECK(offset_in_tensor <= info.size_bytes && bytes.size() <= info.size_bytes - offset_in_tensor);
  write_file(data_start_ + info.offset + offset_in_tensor, bytes);
  written_ += bytes.size();
}

void SafetensorsWriter::finish() {
  QWEN_CHECK(fd_ >= 0 && written_ == data_bytes_);
  if (::fsync(fd_) != 0) fail("flush to the disk");
  const int fd = std::exchange(fd_, -1);
  // A network file system reports a failed write only here.
  if (::close(fd) != 0 || ::rename(partial_path_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(partial_path_.c_str());
    errno = reason;
    fail("complete the file");
  }
}

}  // namespace qwen
