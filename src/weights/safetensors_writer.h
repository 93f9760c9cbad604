// Writes a safetensors file without holding it in memory: declare the tensors, begin(), then write their data.
// The file appears under its name only by finish(); until then the bytes are in "<name>.partial", which a destroyed
// writer removes. Errors: kCannotCreate naming the file and the reason (no space, no permission).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weights/tensor_info.h"

namespace qwen {

class SafetensorsWriter {
 public:
  explicit SafetensorsWriter(std::filesystem::path path);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // Returns the tensor's number, counting from 0; data lies in the file in this order. Only before begin().
  size_t declare(std::string_view name, DType dtype, const Shape& shape);
  // A string pair of the header's __metadata__. Only before begin().
  void set_metadata(std::string key, std::string value);
  // Creates the partial file and writes the header.
  void begin();
  // The next bytes of the data, tensors in declared order.
  void write(std::span<const std::byte> bytes);
  // Any part of one tensor, from any thread; every byte must be written exactly once over all calls. Not to be mixed
  // with write().
  void write_at(size_t tensor, uint64_t offset_in_tensor, std::span<const std::byte> bytes);
  // Everything has been written: flushes to the disk and renames.
  void finish();

  uint64_t data_bytes() const { return data_bytes_; }

 private:
  [[noreturn]] void fail(const char* action) const;
  std::string header() const;
  void write_file(uint64_t file_offset, std::span<const std::byte> bytes);

  std::filesystem::path path_, partial_path_;
  std::vector<TensorInfo> tensors_;  // offset counts from the start of the data
  std::vector<std::pair<std::string, std::string>> metadata_;
  uint64_t data_bytes_ = 0, data_start_ = 0, next_ = 0;
  std::atomic<uint64_t> written_{0};
  int fd_ = -1;
};

}  // namespace qwen
