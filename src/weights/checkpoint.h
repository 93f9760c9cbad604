// The weights of a model folder, whatever the file format: names, shapes and views into mapped files; nothing is copied
// or converted. Sources, first found wins: model.safetensors, model.safetensors.index.json + shards, pytorch_model.bin,
// pytorch_model.bin.index.json + shards. Invariant: every tensor in the list lies wholly inside its file, names are
// unique. Errors: kMissingFile (folder or weights absent), kPermission, kBadData (a file contradicts itself); one line
// naming file, field, mend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/tensor_view.h"
#include "weights/tensor_info.h"

namespace qwen {

// Who owns the weight files and who may read all of them, links followed.
struct WeightFileAccess {
  uint32_t owner = 0, group = 0;  // of the first file
  uint32_t mode = 0777;           // permission bits that all of them have; the groups' where all have one group
};

class Checkpoint {
 public:
  static Checkpoint open(const std::filesystem::path& model_dir);
  // Whether the folder has an entry of one of the sources, be it a link that leads nowhere: open() would then read it.
  static bool exists(const std::filesystem::path& model_dir);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::vector<TensorInfo>& tensors() const;       // sorted by name
  const TensorInfo* find(std::string_view name) const;  // nullptr where absent
  // As they lie in the file, which need not be aligned.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  // Aligned to the element size (a tensor that its file misaligns is copied); valid until release(name) or destruction.
  // Throws kBadData where the checkpoint has no such tensor. Thread-safe.
  TensorView view(std::string_view name) const;
  // The caller is done with the tensor: its pages may go. Views of it are invalid afterwards; view() may be called
  // again.
  void release(std::string_view name) const;

  uint64_t total_bytes() const;  // of all tensors
  // Of file names, sizes, modification times and headers, not of the data: cheap, for telling checkpoints apart in
  // caches.
  uint64_t fingerprint() const;
  // The same with the times at which anything about the files changed last, which nobody can set: equal stamps, equal
  // numbers. The reverse does not hold, a copy or a chmod gives another; then weights/content_digest.h tells.
  uint64_t stamp() const;
  const WeightFileAccess& access() const;
  const std::filesystem::path& directory() const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace qwen
