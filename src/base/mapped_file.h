// A read-only file mapping. Missing or unreadable files throw Error (kMissingFile, kPermission) with the path in the
// message; a file that is cut while it is mapped ends the process with a message, see truncation_guard.h.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/truncation_guard.h"

namespace qwen {

class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Lets the kernel drop the pages of this range from the process (the page cache keeps them), so that streaming
  // through a large checkpoint does not make it resident. `part` must lie in bytes().
  void release(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::optional<TruncationGuard> guard_;
};

// The whole file as a string; more than `max_bytes` is kBadData.
std::string read_text_file(const std::filesystem::path& path, size_t max_bytes);

}  // namespace qwen
