// Keeps a model's quantized weights, as the backend packed them, in a file of their own, so that the next start reads
// that instead of quantizing again. Backend::prepare stays the one way in: WeightLoader gives it what is found here in
// place of the checkpoint's tensors, and puts here what it returned.
//
// A packed matrix is a function of its tensors, the format and the backend's packing alone. So a file is believed where
// its key fits (formats, packing with its version, what config.json says) and the weights are those that it was made
// of: by the sizes and times of their files (Checkpoint::stamp), or, where these are others (a copy, an image, a
// chmod), by a digest of every number in them, which costs reading them once. Of a folder's own integers the file also
// says in which format they were packed, so that what is found needs no look at the checkpoint.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
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
  bool access_asked_for = true;  // false: nobody has to hear where it changes nothing
  int threads = 0;               // that read; 0: the physical cores this process may use
};

class PackedCache {
 public:
  // Reads no weights. References outlive it.
  PackedCache(const Checkpoint& checkpoint, const QuantizationConfig& quantization, const WeightFormats& formats,
              const Backend& backend, const PackedCacheOptions& options);

  // Looks for the file; one of more than `max_bytes` is none. Errors: kOs without memory; what `progress` throws.
  void open(uint64_t max_bytes, const ProgressFn& progress);
  // Where none was found: begins one, or with kMap waits for the process that writes it. `weight_bytes`: of the packed
  // model, about. Errors: as open().
  void begin(uint64_t weight_bytes, const ProgressFn& progress);
  bool found() const { return file_.has_value(); }
  uint64_t found_bytes() const { return file_ ? file_->size_bytes() : 0; }
  // Whether what is found takes no memory of this process.
  bool maps() const { return options_.access == PackedAccess::kMap; }

  // The format of what find() returns when asked for weights in this format, if there is such an entry.
  std::optional<QuantFormat> format(const std::string& name, const QuantFormat& asked) const;
  // The stacked modules' weights [rows, cols] for Backend::prepare, where they were kept.
  std::optional<HostMatrix> find(const std::string& name, int64_t rows, int64_t cols, const QuantFormat& asked);
  // `asked`: the format that the matrix was asked for, whatever it has become.
  void store(const std::string& name, const Matrix& matrix, const QuantFormat& asked);
  // The checkpoint's tensor has been read for the last time; its pages have not been released yet.
  void finish_tensor(const std::string& name);

  // Every weight has been stored or found: completes the file and says what became of it.
  void finish();
  bool written() const { return written_; }  // by this process, after finish()

 private:
  using Places = std::vector<std::filesystem::path>;

  bool kept(const QuantFormat& format) const { return options_.enabled && !backend_.packing(format).empty(); }
  std::string no_file_reason(uint64_t weight_bytes) const;
  bool find_file(const ProgressFn& progress);
  bool begin_file(uint64_t weight_bytes);
  bool same_weights(const PackedSource& source, const ProgressFn& progress);

  const Checkpoint& checkpoint_;
  const Backend& backend_;
  const PackedCacheOptions options_;
  const std::string method_;  // of the folder's own integers that are kept; empty: it has none
  const WeightFormats formats_;
  std::string key_;  // empty: nothing is kept

  Places places_;
  uint64_t max_bytes_ = 0;
  std::optional<PackedFile> file_;
  std::filesystem::path file_path_;
  std::vector<std::string> read_problems_;        // of files that are there and cannot be used
  std::optional<uint64_t> digest_of_checkpoint_;  // where it had to be read

  std::unique_ptr<PackedFileWriter> writer_;
  std::string problem_;  // why what is quantized is not kept; empty where it is not worth it
  std::vector<std::byte> scratch_;
  std::set<std::string> digested_;  // tensors that are in …
  uint64_t digest_ = 0;             // … this sum
  std::chrono::steady_clock::time_point start_;
  bool written_ = false;
};

}  // namespace qwen
