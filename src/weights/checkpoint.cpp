// Opening a checkpoint finds the source, maps its files and checks their lists against each other; nothing is read but
// headers.
#include "weights/checkpoint.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "weights/model_directory.h"
#include "weights/safetensors.h"
#include "weights/shard_index.h"
#include "weights/torch_bin.h"

namespace qwen {

namespace fs = std::filesystem;

namespace {

struct Source {
  const char* name;
  bool index;  // of shards
  std::string_view extension;
};
constexpr Source kSources[] = {
    // the first found wins
    {"model.safetensors", false, ".safetensors"},
    {"model.safetensors.index.json", true, ".safetensors"},
    {"pytorch_model.bin", false, ".bin"},
    {"pytorch_model.bin.index.json", true, ".bin"},
};

const Source* find_source(const fs::path& model_dir) {
  for (const Source& source : kSources)
    if (has_entry(model_dir, source.name)) return &source;
  return nullptr;
}

}  // namespace

struct Checkpoint::State {
  fs::path directory;
  std::vector<std::unique_ptr<MappedFile>> files;  // by TensorInfo::file
  std::vector<TensorInfo> tensors;                 // sorted by name
  uint64_t total_bytes = 0;
  uint64_t fingerprint = 0, changed = 0;
  WeightFileAccess access;

  std::mutex copies_mutex;
  std::map<const TensorInfo*, std::unique_ptr<std::byte[]>> copies;  // of misaligned tensors; guarded by copies_mutex

  void add_file(const std::string& name, bool safetensors);
  void add_shards(const std::string& index_name, std::string_view extension);
  void sort_tensors();
  std::span<const std::byte> bytes_of(const TensorInfo& info) const {
    return files[info.file]->bytes().subspan(info.offset, info.size_bytes);
  }
};

void Checkpoint::State::add_file(const std::string& name, bool safetensors) {
  const fs::path path = directory / name;
  auto file = std::make_unique<MappedFile>(path);
  std::vector<TensorInfo> found;
  std::string_view described;  // the part of the file that says what it holds
  if (safetensors) {
    SafetensorsFile parsed = read_safetensors(file->bytes(), path.string());
    found = std::move(parsed.tensors);
    described = {reinterpret_cast<const char*>(file->bytes().data()), parsed.header_bytes};
  } else {
    TorchFile parsed = read_torch_bin(file->bytes(), path.string());
    found = std::move(parsed.tensors);
    described = parsed.pickle;
  }
  const FileStatus& status = file->status();
  fingerprint =
      xxh64(str(name, '\0', file->bytes().size(), ' ', status.modified_ns, ' ', xxh64(described)), fingerprint);
  changed = xxh64(str(status.changed_ns), changed);
  if (files.empty()) access = {status.owner, status.group};
  access.mode &= status.mode & (status.group == access.group ? 0777u : 0707u);

  if (tensors.size() + found.size() > kMaxTensors)
    throw Error(ErrorCode::kBadData,
                str(path.string(), ": with it the model has more than ", kMaxTensors, " tensors, the most allowed"));
  for (TensorInfo& tensor : found) {
    tensor.file = static_cast<uint32_t>(files.size());
    const auto sum = checked_add(total_bytes, tensor.size_bytes);
    if (!sum) throw Error(ErrorCode::kBadData, path.string() + ": its tensors are more than 2^64 bytes");
    total_bytes = *sum;
    tensors.push_back(std::move(tensor));
  }
  files.push_back(std::move(file));
}

void Checkpoint::State::add_shards(const std::string& index_name, std::string_view extension) {
  const fs::path index_path = directory / index_name;
  const ShardIndex index =
      parse_shard_index(read_text_file(index_path, kMaxShardIndexBytes), extension, index_path.string());
  std::map<std::string, uint32_t> shards;
  for (const auto& [tensor, shard] : index) {
    if (shards.contains(shard)) continue;
    if (!has_entry(directory, shard))
      throw Error(ErrorCode::kBadData, str((directory / shard).string(), ": missing, but ", index_name,
                                           " places tensors in it; download the folder again"));
    shards.emplace(shard, static_cast<uint32_t>(files.size()));
    add_file(shard, extension == ".safetensors");
  }
  sort_tensors();
  for (const auto& [name, shard] : index) {
    const auto it =
        std::lower_bound(tensors.begin(), tensors.end(), name,
                         [](const TensorInfo& info, const std::string& wanted) { return info.name < wanted; });
    if (it == tensors.end() || it->name != name || it->file != shards.at(shard))
      throw Error(ErrorCode::kBadData,
                  str((directory / shard).string(), ": lacks tensor ", quote(name), ", which ", index_name,
                      " places in it; the files are not of one model, download the folder again"));
  }
}

void Checkpoint::State::sort_tensors() {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                        [](const TensorInfo& a, const TensorInfo& b) { return a.name == b.name; });
  if (twice != tensors.end())
    throw Error(ErrorCode::kBadData,
                str(directory.string(), ": tensor ", quote(twice->name), " is both in ",
                    files[twice->file]->path().filename().string(), " and in ",
                    files[(twice + 1)->file]->path().filename().string(), "; download the folder again"));
}

bool Checkpoint::exists(const fs::path& model_dir) { return find_source(model_dir) != nullptr; }

Checkpoint Checkpoint::open(const fs::path& model_dir) {
  check_model_directory(model_dir);
  const Source* const source = find_source(model_dir);
  if (source == nullptr)
    throw Error(ErrorCode::kMissingFile,
                str(model_dir.string(),
                    ": no model.safetensors, model.safetensors.index.json, pytorch_model.bin or "
                    "pytorch_model.bin.index.json found; point --model at a Hugging Face folder"));
  auto state = std::make_unique<State>();
  state->directory = model_dir;
  if (source->index)
    state->add_shards(source->name, source->extension);
  else
    state->add_file(source->name, source->extension == ".safetensors");
  state->sort_tensors();
  return Checkpoint(std::move(state));
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

const std::vector<TensorInfo>& Checkpoint::tensors() const { return state_->tensors; }
uint64_t Checkpoint::total_bytes() const { return state_->total_bytes; }
uint64_t Checkpoint::fingerprint() const { return state_->fingerprint; }
uint64_t Checkpoint::stamp() const { return xxh64(str(state_->changed), state_->fingerprint); }
const WeightFileAccess& Checkpoint::access() const { return state_->access; }
const fs::path& Checkpoint::directory() const { return state_->directory; }

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto& tensors = state_->tensors;
  const auto it = std::lower_bound(tensors.begin(), tensors.end(), name,
                                   [](const TensorInfo& info, std::string_view wanted) { return info.name < wanted; });
  return it != tensors.end() && it->name == name ? &*it : nullptr;
}

std::span<const std::byte> Checkpoint::bytes(const TensorInfo& tensor) const { return state_->bytes_of(tensor); }

TensorView Checkpoint::view(std::string_view name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr)
    throw Error(ErrorCode::kBadData,
                str(state_->directory.string(), ": tensor ", quote(name), " is missing from the weights"));
  const std::span<const std::byte> bytes = state_->bytes_of(*info);
  TensorView view{info->dtype, info->shape, bytes.data()};
  if (reinterpret_cast<uintptr_t>(bytes.data()) % dtype_size(info->dtype) == 0) return view;
  const std::lock_guard lock(state_->copies_mutex);
  std::unique_ptr<std::byte[]>& copy = state_->copies[info];
  if (copy == nullptr) {
    copy.reset(new std::byte[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
  }
  view.data = copy.get();
  return view;
}

void Checkpoint::release(std::string_view name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) return;
  state_->files[info->file]->release(state_->bytes_of(*info));
  const std::lock_guard lock(state_->copies_mutex);
  state_->copies.erase(info);
}

}  // namespace qwen
