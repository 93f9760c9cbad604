// Reads a file of packed weights (packed_file_layout.h): named runs of bytes with a note on each, into one anonymous
// arena in huge pages or mapped. Nothing in the file is believed: every offset and size is checked before it is used,
// every byte against its digest. Digests tell damage, not malice: whoever may write the file can also make them fit. So
// a file that anyone could have changed, but root, this user and whoever owns the weights, is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "weights/packed_file_layout.h"

namespace qwen {

enum class PackedAccess {
  kCopy,  // read into memory of this process: huge pages, no page of the file in use
  kMap,   // pages of the file, shared with every process that maps it
};

struct PackedReadOptions {
  PackedAccess access = PackedAccess::kCopy;
  uint64_t max_bytes = ~uint64_t{0};        // a larger file is refused
  int threads = 0;                          // that read, a few at most; 0: as many as are useful
  std::optional<uint32_t> weights_owner{};  // may own the file too
};

class PackedFile {
 public:
  // Whether the weights are still those that a file was made of.
  using SameSource = std::function<bool(const PackedSource&)>;

  // Nothing where the file cannot be used; `problem` then says why, in words that follow its path, and is empty where
  // there is no such file. `key` has to be the one that it was written with. `progress` hears of the bytes; what it or
  // `same_source` throws ends the reading. Errors: kOs without memory.
  static std::optional<PackedFile> open(const std::filesystem::path& path, std::string_view key,
                                        const SameSource& same_source, const PackedReadOptions& options,
                                        const ProgressFn& progress, std::string& problem);

  struct Entry {
    std::span<const std::byte> bytes;  // aligned to kPackedAlignment, at least one
    std::string note;                  // as PackedFileWriter::add was given it
  };
  const Entry* find(std::string_view name) const;                      // null where there is no such entry
  const std::shared_ptr<const void>& owner() const { return owner_; }  // of all of them
  uint64_t size_bytes() const { return size_bytes_; }                  // of the file

 private:
  std::map<std::string, Entry, std::less<>> entries_;
  std::shared_ptr<const void> owner_;
  uint64_t size_bytes_ = 0;
};

}  // namespace qwen
