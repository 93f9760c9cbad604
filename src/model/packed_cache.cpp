#include "model/packed_cache.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "quant/integer_format.h"
#include "quant/stored_groups.h"
#include "weights/packed_file_places.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

// What is packed faster than this is read leaves no file behind, unless a folder is named.
constexpr uint64_t kLeastBytes = 64 << 20;
// Of another process that writes the file which this one wants to map.
constexpr auto kMostPatience = std::chrono::minutes(10);
constexpr auto kPollInterval = std::chrono::milliseconds(200);
constexpr size_t kMaxConfigBytes = 16 << 20;

std::string format_name(const QuantFormat& format) {
  switch (format.kind) {
    case QuantFormat::Kind::kInt8:
      return str("int8/", format.group_size);
    case QuantFormat::Kind::kInt4:
      return str("int4/", format.group_size);
    default:
      return "none";
  }
}

// Of the file's name: as QUANTIZATION_FORMAT spells it; a folder's own integers by their method.
std::string file_format(const QuantizationConfig& quantization, const WeightFormats& formats) {
  if (has_stored_groups(quantization.format))
    return str(quantization.method, formats.head.kind == QuantFormat::Kind::kNone ? "-none" : "");
  if (formats.linear.kind != QuantFormat::Kind::kInt4) return "int8";
  return formats.linear.group_size == kIntegerGroup ? "int4" : str("int4-g", formats.linear.group_size);
}

// Of what says how the tensors are to be read.
uint64_t config_digest(const fs::path& model_dir) {
  std::string text = read_text_file(model_dir / "config.json", kMaxConfigBytes);
  const fs::path older = model_dir / "quantize_config.json";
  std::error_code ignored;
  if (fs::exists(older, ignored)) text += read_text_file(older, kMaxConfigBytes);
  return xxh64(text);
}

// The files grow a little past the weights: rows and columns are padded, entries begin on pages.
uint64_t most_file_bytes(uint64_t weight_bytes) { return 4 * weight_bytes + (uint64_t{256} << 20); }

std::string seconds_since(std::chrono::steady_clock::time_point start) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return text;
}

}  // namespace

PackedCache::PackedCache(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                         const WeightFormats& formats, const Backend& backend, const PackedCacheOptions& options)
    : backend_(backend),
      options_(options),
      file_format_(file_format(quantization, formats)),
      model_dir_(checkpoint.directory()) {
  constexpr QuantFormat kGrouped{.kind = QuantFormat::Kind::kGrouped};
  const bool stored_groups = has_stored_groups(quantization.format);
  if (!kept(formats.linear) && !kept(formats.head) && !(stored_groups && kept(kGrouped))) return;
  key_ = str("packed weights\ncheckpoint ", std::hex, checkpoint.sampled_fingerprint(), "\nconfig ",
             config_digest(model_dir_), std::dec, "\nlinear ", format_name(formats.linear), ": ",
             backend.packing(formats.linear), "\nhead ", format_name(formats.head), ": ", backend.packing(formats.head),
             '\n');
  if (stored_groups) key_ += str("stored ", quantization.method, ": ", backend.packing(kGrouped), '\n');
}

void PackedCache::open(uint64_t weight_bytes, const ProgressFn& progress) {
  start_ = std::chrono::steady_clock::now();
  if (key_.empty() || (options_.folder.empty() && weight_bytes < kLeastBytes)) return;
  const auto places = packed_file_places(model_dir_, file_format_, options_.folder,
                                         [](const char* name) -> const char* { return std::getenv(name); });
  if (find_file(places, most_file_bytes(weight_bytes), progress) || begin_file(places, weight_bytes)) return;
  // Another process quantizes this model at the moment. Who shares its pages needs the file; others do not wait.
  while (options_.access == PackedAccess::kMap && writer_ != nullptr && writer_->other_process() &&
         std::chrono::steady_clock::now() - start_ < kMostPatience) {
    if (progress) progress(0, weight_bytes);
    std::this_thread::sleep_for(kPollInterval);
    if (find_file(places, most_file_bytes(weight_bytes), progress) || begin_file(places, weight_bytes)) return;
  }
  if (writer_ != nullptr && writer_->other_process())
    log_info(writer_->path().string(), ": another process writes it; the weights are quantized in memory");
  writer_.reset();
}

bool PackedCache::find_file(const std::vector<fs::path>& places, uint64_t max_bytes, const ProgressFn& progress) {
  for (const fs::path& place : places) {
    std::string problem;
    file_ = PackedFile::open(place, key_, options_.access, max_bytes, progress, problem);
    if (file_) {
      file_path_ = place;
      log_info(place.string(), ": packed weights, ", file_->size_bytes() >> 20, " MiB, ",
               options_.access == PackedAccess::kMap ? "mapped" : "read", " in ", seconds_since(start_));
      return true;
    }
    const bool waiting = writer_ != nullptr;  // it has been said
    if (!problem.empty() && !waiting) log_info(place.string(), ": ", problem, "; the weights are quantized again");
  }
  return false;
}

bool PackedCache::begin_file(const std::vector<fs::path>& places, uint64_t weight_bytes) {
  problem_ = places.empty() ? "there is no folder for them" : "";
  for (const fs::path& place : places) {
    const auto refuse = [&](const std::string& why) {
      problem_ += str(problem_.empty() ? "" : "; ", place.string(), ' ', why);
    };
    if (on_memory_file_system(place.parent_path())) {
      refuse("would lie in memory (tmpfs)");
      continue;
    }
    std::error_code error;
    fs::create_directories(place.parent_path(), error);  // what fails here fails below
    writer_ = std::make_unique<PackedFileWriter>(place, key_, weight_bytes);
    if (writer_->problem().empty()) return true;
    if (writer_->other_process()) {
      problem_.clear();
      return false;
    }
    refuse(writer_->problem());
  }
  return false;
}

std::optional<HostMatrix> PackedCache::find(const std::string& name, int64_t rows, int64_t cols,
                                            const QuantFormat& format) {
  if (!file_ || !kept(format)) return std::nullopt;
  const std::span<const std::byte> bytes = file_->find(name);
  if (bytes.size() != backend_.packed_bytes(rows, cols, format)) {
    std::error_code ignored;
    if (fs::remove(file_path_, ignored))
      log_warning(file_path_.string(), ": holds other weights than its key says; removed, the next start makes it new");
    return std::nullopt;
  }
  return HostMatrix{.format = format,
                    .rows = rows,
                    .cols = cols,
                    .weight = {DType::kU8, {static_cast<int64_t>(bytes.size())}, bytes.data()},
                    .owner = file_->owner()};
}

void PackedCache::store(const std::string& name, const Matrix& matrix) {
  if (writer_ != nullptr && kept(matrix.format)) writer_->add(name, backend_.packed(matrix, scratch_));
}

void PackedCache::finish() {
  if (key_.empty() || file_) return;
  const std::string quantizing = seconds_since(start_);
  if (writer_ != nullptr) {
    writer_->finish();
    written_ = writer_->problem().empty();
    if (written_) {
      log_info(writer_->path().string(), ": the packed weights, for the next start; quantizing took ", quantizing,
               ", with writing ", seconds_since(start_));
    } else {
      problem_ = str(writer_->path().string(), ' ', writer_->problem());
    }
    writer_.reset();
  }
  if (!written_ && !problem_.empty())
    log_warning("quantized weights are in memory only: ", problem_, ". Quantizing took ", quantizing,
                ", as it will at every start; name a folder on a disk with --cache-dir");
}

}  // namespace qwen
