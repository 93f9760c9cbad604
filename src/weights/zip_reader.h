// The directory of a zip archive whose entries are stored uncompressed, as torch.save writes them; ZIP64 included.
// Nothing is extracted: an entry is a range of the file. Invariant: every range lies before the directory, and no two
// overlap. Source: PKWARE APPNOTE 6.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct ZipEntry {
  std::string_view name;  // inside the file's bytes
  uint64_t offset = 0;    // of the data, from the start of the file
  uint64_t size = 0;
};

class ZipDirectory {
 public:
  // Throws kBadData naming `path`: no zip archive, truncated, compressed, encrypted or inconsistent entries.
  ZipDirectory(std::span<const std::byte> file, const std::string& path);

  const std::vector<ZipEntry>& entries() const { return entries_; }  // sorted by name, names are unique
  const ZipEntry* find(std::string_view name) const;                 // nullptr where absent

 private:
  std::vector<ZipEntry> entries_;
};

}  // namespace qwen
