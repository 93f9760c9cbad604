// Reads a file of packed weights (packed_file_layout.h): named runs of bytes, into one anonymous arena in huge pages or
// mapped. Nothing in the file is believed: every offset and size is checked before it is used, every byte against its
// digest, so that what is handed out is what was written under this key.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/progress.h"

namespace qwen {

enum class PackedAccess {
  kCopy,  // read into memory of this process: huge pages, no page of the file in use
  kMap,   // pages of the file, shared with every process that maps it
};

class PackedFile {
 public:
  // Nothing where the file cannot be used; `problem` then says why, and is empty where there is no such file. `key` has
  // to be the one that it was written with; a file of more than `max_bytes` is refused. `progress` hears of the bytes;
  // what it throws ends the reading. Errors: kOs without memory.
  static std::optional<PackedFile> open(const std::filesystem::path& path, std::string_view key, PackedAccess access,
                                        uint64_t max_bytes, const ProgressFn& progress, std::string& problem);

  // Aligned to kPackedAlignment; without data where there is no such entry.
  std::span<const std::byte> find(std::string_view name) const;
  const std::shared_ptr<const void>& owner() const { return owner_; }  // of all of them
  uint64_t size_bytes() const { return size_bytes_; }                  // of the file

 private:
  std::map<std::string, std::span<const std::byte>, std::less<>> entries_;
  std::shared_ptr<const void> owner_;
  uint64_t size_bytes_ = 0;
};

}  // namespace qwen
