// Writes a GGUF file (version 3, little-endian): declare keys and tensors, begin(), then every tensor's data in order.
// The file appears under its name only by finish(). Errors: kCannotCreate naming the file.
// Source: ggml/docs/gguf.md.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor_view.h"
#include "peers/ggml_blocks.h"

namespace qwen {

class GgufWriter {
 public:
  explicit GgufWriter(std::filesystem::path path) : path_(std::move(path)) {}
  ~GgufWriter();  // removes what was not finished
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  // Keys; before begin() only.
  void set_uint(std::string_view key, uint32_t value);
  void set_float(std::string_view key, float value);
  void set_bool(std::string_view key, bool value);
  void set_text(std::string_view key, std::string_view value);
  void set_texts(std::string_view key, std::span<const std::string> values);
  void set_ints(std::string_view key, std::span<const int32_t> values);

  // `shape` as in a checkpoint, outermost first. Before begin() only.
  void declare(std::string_view name, GgmlType type, const Shape& shape);
  void begin();
  // The next bytes of the data; a tensor may come in any number of pieces, each within one tensor.
  void write(std::span<const std::byte> bytes);
  void finish();

  uint64_t data_bytes() const { return data_bytes_; }

 private:
  [[noreturn]] void fail(const char* action) const;
  void key(std::string_view name, uint32_t type);
  void put(std::span<const std::byte> bytes);
  void pad();

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_, partial_path_;
  std::string keys_, tensors_;  // encoded
  uint64_t num_keys_ = 0;
  std::vector<uint64_t> sizes_;  // of the tensors' data, without padding
  uint64_t data_bytes_ = 0;      // with padding
  size_t tensor_ = 0;            // being written …
  uint64_t in_tensor_ = 0;       // … up to here
  uint64_t position_ = 0;
  std::unique_ptr<std::FILE, Close> file_;
  bool partial_ = false;  // the partial file is there
};

}  // namespace qwen
