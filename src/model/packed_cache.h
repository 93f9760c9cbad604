// Keeps a model's quantized weights, as the backend packed them, in a file of their own, so that the next start reads
// that instead of quantizing again. Backend::prepare stays the one way in: WeightLoader gives it what is found here in
// place of the checkpoint's tensors, and puts here what it returned.
//
// The key that a file has to have been written with: names, sizes, modification times and headers of the weight files
// with 4 KiB of every tensor (Checkpoint::sampled_fingerprint), the digest of config.json (and quantize_config.json),
// the formats, and the backend's packing with its version. It is enough because a packed matrix is a function of its
// tensors, the format and the packing alone, and whoever changes a tensor changes its file's time and size or nearly
// every number in it (a finetune does); reading all of the checkpoint instead would cost what the file saves.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "model/model_config.h"
#include "model/weight_formats.h"
#include "weights/checkpoint.h"
#include "weights/packed_file.h"
#include "weights/packed_file_writer.h"

namespace qwen {

struct PackedCacheOptions {
  bool enabled = true;
  std::string folder;  // empty: chosen (weights/packed_file_places.h), for models that take a while to quantize
  PackedAccess access = PackedAccess::kCopy;
};

class PackedCache {
 public:
  // Reads no weights. References outlive it.
  PackedCache(const Checkpoint& checkpoint, const QuantizationConfig& quantization, const WeightFormats& formats,
              const Backend& backend, const PackedCacheOptions& options);

  // Finds the file, or begins one. `weight_bytes`: of the packed model, about. Errors: kOs without memory; what
  // `progress` throws.
  void open(uint64_t weight_bytes, const ProgressFn& progress);
  bool found() const { return file_.has_value(); }

  // The stacked modules' weights [rows, cols] for Backend::prepare, where they were kept.
  std::optional<HostMatrix> find(const std::string& name, int64_t rows, int64_t cols, const QuantFormat& format);
  void store(const std::string& name, const Matrix& matrix);

  // Every weight has been stored or found: completes the file and says what became of it.
  void finish();
  bool written() const { return written_; }  // by this process, after finish()

 private:
  bool kept(const QuantFormat& format) const { return options_.enabled && !backend_.packing(format).empty(); }
  bool find_file(const std::vector<std::filesystem::path>& places, uint64_t max_bytes, const ProgressFn& progress);
  bool begin_file(const std::vector<std::filesystem::path>& places, uint64_t weight_bytes);

  const Backend& backend_;
  const PackedCacheOptions options_;
  const std::string file_format_;  // of the file's name
  const std::filesystem::path model_dir_;
  std::string key_;  // empty: nothing is kept

  std::optional<PackedFile> file_;
  std::filesystem::path file_path_;
  std::unique_ptr<PackedFileWriter> writer_;
  std::string problem_;  // why what is quantized is not kept; empty where it is not worth it
  std::vector<std::byte> scratch_;
  std::chrono::steady_clock::time_point start_;
  bool written_ = false;
};

}  // namespace qwen
