// A read-only file mapping. Missing or unreadable files throw Error (kMissingFile, kPermission) with the path in the
// message; a file that is cut while it is mapped ends the process with a message, see truncation_guard.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/truncation_guard.h"

namespace qwen {

// Of the open file, not of whatever has its name by now.
struct FileStatus {
  int64_t modified_ns = 0, changed_ns = 0;  // of the contents; of anything, which nobody can set
  uint32_t owner = 0, group = 0, mode = 0;  // mode: permission bits
};

class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  // Of a file that is open already; null where it cannot be mapped, errno says why. `mend`: see TruncationGuard.
  static std::unique_ptr<MappedFile> map(const FileDescriptor& file, const std::filesystem::path& path,
                                         std::string_view mend);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  const FileStatus& status() const { return status_; }

  // Lets the kernel drop the pages of this range from the process (the page cache keeps them), so that streaming
  // through a large checkpoint does not make it resident. `part` must lie in bytes().
  void release(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  bool map_all(const FileDescriptor& file, std::string_view mend);

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  FileStatus status_;
  std::optional<TruncationGuard> guard_;
};

// The whole file as a string; more than `max_bytes` is kBadData.
std::string read_text_file(const std::filesystem::path& path, size_t max_bytes);

}  // namespace qwen
