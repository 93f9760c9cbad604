// Writes a model folder that appears under its name whole and on the disk, or not at all: until finish() everything is
// in "<folder>.partial" beside it, which a destroyed writer removes and which whoever comes after a killed one takes
// over; where only the last step fails, it is kept. It is locked, so that of several processes one writes. A folder
// that is replaced is a model's and nothing else (model_folder_files.h), and swapped at once where the file system can.
// Weights go to model.safetensors, or to shards with an index. Errors: kCannotCreate naming the file or folder, the
// reason and the mend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor_view.h"
#include "weights/safetensors_writer.h"

namespace qwen {

inline constexpr uint64_t kMaxShardBytes = 5'000'000'000;

class ModelFolderWriter {
 public:
  // The folder must be absent or empty, and no mount point; with `replace` it may also be a model folder, which
  // finish() replaces. kUsage for an empty name.
  ModelFolderWriter(const std::filesystem::path& folder, bool replace);
  ~ModelFolderWriter();
  ModelFolderWriter(const ModelFolderWriter&) = delete;
  ModelFolderWriter& operator=(const ModelFolderWriter&) = delete;

  // Tokenizer, templates, generation settings, licence: every file of `model_dir` itself with a model file's name that
  // is not hidden, holds no weights and is neither config.json nor another description of how weights are quantized.
  // Returns the names of those left out because they are too large or belong to no model.
  std::vector<std::string> copy_small_files(const std::filesystem::path& model_dir);
  void write_text(const std::string& name, std::string_view text);

  // The weights: all tensors are declared, then begin() creates the files, then every byte is written once, in any
  // order.
  void declare(std::string_view name, DType dtype, const Shape& shape);
  void begin(uint64_t max_shard_bytes = kMaxShardBytes);
  void write_at(std::string_view tensor, uint64_t offset, std::span<const std::byte> bytes);

  // Everything has been written: config.json last, to the disk, then under its name.
  void finish(std::string_view config_json);

  const std::filesystem::path& folder() const { return folder_; }
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Declared {
    std::string name;
    DType dtype;
    Shape shape;
  };
  struct Place {
    SafetensorsWriter* shard;
    size_t tensor;
  };

  void check_target();
  void clear_leftover();
  void lock_partial_folder();
  void check_space() const;
  void write_index();
  void replace_folder();
  void swap_with_old();

  std::filesystem::path folder_, partial_, aside_;
  bool replace_, complete_ = false;
  int fd_ = -1;  // of the locked partial folder
  std::vector<Declared> declared_;
  std::vector<std::unique_ptr<SafetensorsWriter>> shards_;
  std::map<std::string, Place, std::less<>> places_;
  std::map<std::string, std::string> weight_map_;  // tensor → file
  uint64_t weight_bytes_ = 0;
};

}  // namespace qwen
