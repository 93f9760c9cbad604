// See packed_cache.h.
#include "model/packed_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "quant/grouped_format.h"
#include "quant/stored_groups.h"
#include "weights/content_digest.h"
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
constexpr int kMaxDigestThreads = 8;

// Of the file's name: the folder's own method, or as QUANTIZATION_FORMAT spells it, and HEAD_FORMAT where it is not
// what goes with that. `method`: empty where the folder's weights are no such integers.
std::string file_format(const std::string& method, const WeightFormats& formats) {
  const bool plain_linear = formats.linear.kind == QuantFormat::Kind::kNone;
  const bool plain_head = formats.head.kind == QuantFormat::Kind::kNone;
  std::string name = method.empty() ? weight_format_name(formats.linear) : str(method, plain_linear ? "-none" : "");
  if (plain_head == plain_linear) return name;
  if (method.empty() && plain_linear) return "head-int8";
  return name + (plain_head ? "-head-none" : "-head-int8");
}

// Of what says how the tensors are to be read.
uint64_t config_digest(const fs::path& model_dir) {
  std::string text = read_text_file(model_dir / "config.json", kMaxConfigBytes);
  const fs::path older = model_dir / "quantize_config.json";
  std::error_code ignored;
  if (fs::exists(older, ignored)) text += read_text_file(older, kMaxConfigBytes);
  return xxh64(text);
}

// What a packed file says of an entry that holds a folder's own integers; of others it says nothing.
struct GroupedNote {
  int32_t bits, group_size;
  uint8_t zero_points, wide_scales, reordered, zero;
};

std::string note_of(const QuantFormat& format) {
  if (format.kind != QuantFormat::Kind::kGrouped) return {};
  const GroupedNote note{format.bits, format.group_size, format.zero_points, format.wide_scales, format.reordered, 0};
  return {reinterpret_cast<const char*>(&note), sizeof note};
}

// Nothing where no backend has written that.
std::optional<QuantFormat> noted_format(const std::string& text) {
  GroupedNote note;
  if (text.size() != sizeof note) return std::nullopt;
  std::memcpy(&note, text.data(), sizeof note);
  const QuantFormat format{.kind = QuantFormat::Kind::kGrouped,
                           .bits = note.bits,
                           .group_size = note.group_size,
                           .zero_points = note.zero_points != 0,
                           .wide_scales = note.wide_scales != 0,
                           .reordered = note.reordered != 0};
  const bool sound = (note.bits == 4 || note.bits == 8) && note.group_size > 0 && note.group_size % kGroupedBlock == 0;
  return sound && note_of(format) == text ? std::optional(format) : std::nullopt;
}

std::string seconds_since(std::chrono::steady_clock::time_point start) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return text;
}

// Whoever may read the weights by their modes and those of the folders around them.
PackedFileReaders readers_of(const Checkpoint& checkpoint) {
  const WeightFileAccess& access = checkpoint.access();
  mode_t mode = S_IRUSR | S_IWUSR | (access.mode & (S_IRGRP | S_IROTH));
  std::error_code error;
  fs::path folder = fs::canonical(checkpoint.directory(), error);
  for (struct stat info{}; !error && !folder.empty() && ::stat(folder.c_str(), &info) == 0;) {
    const bool anyone = (info.st_mode & S_IXOTH) != 0;
    if (!anyone) mode &= ~static_cast<mode_t>(S_IROTH);
    if (!anyone && (info.st_gid != access.group || (info.st_mode & S_IXGRP) == 0))
      mode &= ~static_cast<mode_t>(S_IRGRP);
    if (folder == folder.root_path()) break;
    folder = folder.parent_path();
  }
  return {mode, access.group};
}

// What is missing of the folders, for this user alone. What fails shows when the file is created.
void create_private_folders(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::exists(folder, error)) return;
  create_private_folders(folder.parent_path());
  ::mkdir(folder.c_str(), S_IRWXU);
}

}  // namespace

PackedCache::PackedCache(const Checkpoint& checkpoint, const QuantizationConfig& quantization,
                         const WeightFormats& formats, const Backend& backend, const PackedCacheOptions& options)
    : checkpoint_(checkpoint),
      backend_(backend),
      options_(options),
      method_(has_stored_groups(quantization.format) ? quantization.method : ""),
      formats_(formats) {
  constexpr QuantFormat kGrouped{.kind = QuantFormat::Kind::kGrouped};
  if (!kept(formats.linear) && !kept(formats.head) && (method_.empty() || !kept(kGrouped))) return;
  key_ = str("packed weights\nconfig ", to_hex(config_digest(checkpoint.directory())), "\nlinear ",
             weight_format_name(formats.linear), ": ", backend.packing(formats.linear), "\nhead ",
             weight_format_name(formats.head), ": ", backend.packing(formats.head), '\n');
  if (!method_.empty()) key_ += str("stored ", method_, ": ", backend.packing(kGrouped), '\n');
}

std::string PackedCache::no_file_reason(uint64_t weight_bytes) const {
  if (!options_.enabled) return "--cache-dir none keeps no file";
  if (method_.empty() && formats_.linear.kind == QuantFormat::Kind::kNone &&
      formats_.head.kind == QuantFormat::Kind::kNone)
    return "weights are not quantized";
  if (key_.empty()) return str("the kernels ", backend_.kernels(), " keep no file");
  if (options_.folder.empty() && weight_bytes < kLeastBytes)
    return str("below ", kLeastBytes >> 20, " MiB a file is kept in a folder named with --cache-dir only");
  return {};
}

void PackedCache::open(uint64_t max_bytes, const ProgressFn& progress) {
  start_ = std::chrono::steady_clock::now();
  if (!options_.enabled || key_.empty()) return;
  places_ = packed_file_places(checkpoint_.directory(), file_format(method_, formats_), options_.folder,
                               [](const char* name) -> const char* { return std::getenv(name); });
  max_bytes_ = max_bytes;
  find_file(progress);
}

void PackedCache::begin(uint64_t weight_bytes, const ProgressFn& progress) {
  if (const std::string reason = no_file_reason(weight_bytes); !reason.empty()) {
    if (maps() && options_.access_asked_for) log_warning("--weights mmap changes nothing: ", reason);
    return;
  }
  // It may have appeared while this process counted its memory.
  bool settled = (read_problems_.empty() && find_file(progress)) || begin_file(weight_bytes);
  // Another process quantizes this model at the moment. Who shares its pages needs the file; others do not wait.
  while (!settled && maps() && writer_ != nullptr && writer_->other_process() &&
         std::chrono::steady_clock::now() - start_ < kMostPatience) {
    if (progress) progress(0, weight_bytes);
    std::this_thread::sleep_for(kPollInterval);
    settled = find_file(progress) || begin_file(weight_bytes);
  }
  if (file_) return;
  for (const std::string& problem : read_problems_) log_info(problem, "; the weights are quantized again");
  if (settled) return;
  if (writer_ != nullptr && writer_->other_process())
    log_info(writer_->path().string(), ": another process writes it; the weights are quantized in memory");
  writer_.reset();
}

bool PackedCache::find_file(const ProgressFn& progress) {
  read_problems_.clear();
  const PackedReadOptions read{options_.access, max_bytes_, options_.threads, checkpoint_.access().owner};
  for (const fs::path& place : places_) {
    std::string problem;
    file_ = PackedFile::open(
        place, key_, [&](const PackedSource& source) { return same_weights(source, progress); }, read, progress,
        problem);
    if (file_) {
      file_path_ = place;
      log_info(place.string(), ": packed weights, ", file_->size_bytes() >> 20, " MiB, ", maps() ? "mapped" : "read",
               " in ", seconds_since(start_));
      return true;
    }
    if (!problem.empty()) read_problems_.push_back(str(place.string(), ": ", problem));
  }
  return false;
}

bool PackedCache::same_weights(const PackedSource& source, const ProgressFn& progress) {
  if (source.stamp == checkpoint_.stamp()) return true;
  if (!digest_of_checkpoint_) {
    const int threads = options_.threads > 0 ? options_.threads : usable_cores();
    digest_of_checkpoint_ = content_digest(checkpoint_, std::min(threads, kMaxDigestThreads), progress);
    log_info(checkpoint_.directory().string(), ": the weight files have other times than when they were quantized; ",
             *digest_of_checkpoint_ == source.digest ? "their contents are the same" : "their contents are others");
  }
  return source.digest == *digest_of_checkpoint_;
}

bool PackedCache::begin_file(uint64_t weight_bytes) {
  problem_ = places_.empty() ? "there is no folder for them" : "";
  for (const fs::path& place : places_) {
    const auto refuse = [&](const std::string& why) {
      problem_ += str(problem_.empty() ? "" : "; ", place.string(), ' ', why);
    };
    if (on_memory_file_system(place.parent_path())) {
      refuse("would lie in memory (tmpfs)");
      continue;
    }
    create_private_folders(place.parent_path());
    writer_ = std::make_unique<PackedFileWriter>(place, key_, weight_bytes, readers_of(checkpoint_));
    if (writer_->problem().empty()) return true;
    if (writer_->other_process()) {
      problem_.clear();
      return false;
    }
    refuse(writer_->problem());
  }
  return false;
}

std::optional<QuantFormat> PackedCache::format(const std::string& name, const QuantFormat& asked) const {
  const PackedFile::Entry* const entry = file_ ? file_->find(name) : nullptr;
  if (entry == nullptr) return std::nullopt;
  if (entry->note.empty()) return kept(asked) ? std::optional(asked) : std::nullopt;
  return method_.empty() ? std::nullopt : noted_format(entry->note);
}

std::optional<HostMatrix> PackedCache::find(const std::string& name, int64_t rows, int64_t cols,
                                            const QuantFormat& asked) {
  if (!file_) return std::nullopt;
  const PackedFile::Entry* const entry = file_->find(name);
  if (entry == nullptr && !kept(asked)) return std::nullopt;
  const std::optional<QuantFormat> format = this->format(name, asked);
  if (!format || entry->bytes.size() != backend_.packed_bytes(rows, cols, *format)) {
    std::error_code ignored;
    if (fs::remove(file_path_, ignored))
      log_warning(file_path_.string(), ": holds other weights than its key says; removed, the next start makes it new");
    return std::nullopt;
  }
  return HostMatrix{.format = *format,
                    .rows = rows,
                    .cols = cols,
                    .weight = {DType::kU8, {static_cast<int64_t>(entry->bytes.size())}, entry->bytes.data()},
                    .owner = file_->owner()};
}

void PackedCache::store(const std::string& name, const Matrix& matrix, const QuantFormat& asked) {
  const bool own = matrix.format.kind == QuantFormat::Kind::kGrouped;
  if (writer_ == nullptr || !kept(matrix.format) || (!own && matrix.format != asked)) return;
  writer_->add(name, backend_.packed(matrix, scratch_), note_of(matrix.format));
}

void PackedCache::finish_tensor(const std::string& name) {
  if (writer_ == nullptr || !writer_->problem().empty()) return;
  const TensorInfo* const tensor = checkpoint_.find(name);
  if (tensor != nullptr && digested_.insert(name).second) digest_ += tensor_digest(checkpoint_, *tensor);
}

void PackedCache::finish() {
  if (key_.empty() || file_) return;
  const std::string quantizing = seconds_since(start_);
  if (writer_ != nullptr) {
    for (const TensorInfo& tensor : checkpoint_.tensors()) {  // those that the model does not read
      if (digested_.contains(tensor.name)) continue;
      finish_tensor(tensor.name);
      checkpoint_.release(tensor.name);
    }
    writer_->finish({checkpoint_.stamp(), digest_});
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
