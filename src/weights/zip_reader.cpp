// Reads the directory at the end of the archive; no number in it is used before it is shown to lie inside the file.
#include "weights/zip_reader.h"

#include <algorithm>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/quote.h"
#include "weights/tensor_info.h"

namespace qwen {
namespace {

constexpr uint64_t kMaxEntries = kMaxTensors + 64;  // a storage per tensor and a few files beside
constexpr uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr uint64_t kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20, kCentralSize = 46, kLocalSize = 30;
constexpr uint64_t kMaxComment = 0xffff;

// The file with every access checked.
class Bytes {
 public:
  Bytes(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorCode::kBadData, path_ + ": " + what); }
  uint64_t size() const { return file_.size(); }

  uint64_t number(uint64_t at, int num_bytes) const {  // little-endian
    const std::string_view bytes = text(at, static_cast<uint64_t>(num_bytes));
    uint64_t value = 0;
    for (int i = num_bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
    return value;
  }
  std::string_view text(uint64_t at, uint64_t length) const {
    if (at > file_.size() || length > file_.size() - at)
      fail("the zip directory points outside the file; download it again");
    return {reinterpret_cast<const char*>(file_.data()) + at, length};
  }
  bool signature_at(uint64_t at, uint32_t signature) const {
    return at <= size() && size() - at >= 4 && number(at, 4) == signature;
  }

 private:
  std::span<const std::byte> file_;
  const std::string& path_;
};

struct Directory {
  uint64_t num_entries, offset, size;
};

uint64_t find_end_record(const Bytes& bytes) {
  if (bytes.size() >= kEndSize) {
    const uint64_t last = bytes.size() - kEndSize;
    const uint64_t first = last > kMaxComment ? last - kMaxComment : 0;
    for (uint64_t at = last + 1; at-- > first;)
      if (bytes.signature_at(at, kEndSignature) && at + kEndSize + bytes.number(at + 20, 2) == bytes.size()) return at;
  }
  bytes.fail("the zip archive has no directory; it is truncated, download it again");
}

Directory find_directory(const Bytes& bytes) {
  const uint64_t end = find_end_record(bytes);
  if (bytes.number(end + 4, 2) != bytes.number(end + 6, 2)) bytes.fail("the zip archive is split over several files");
  Directory directory{bytes.number(end + 10, 2), bytes.number(end + 16, 4), bytes.number(end + 12, 4)};
  uint64_t limit = end;
  const bool saturated =
      directory.num_entries == 0xffff || directory.offset == 0xffffffff || directory.size == 0xffffffff;
  if (saturated && end >= kLocator64Size && bytes.signature_at(end - kLocator64Size, kLocator64Signature)) {
    const uint64_t end64 = bytes.number(end - kLocator64Size + 8, 8);
    bytes.text(end64, kEnd64Size);
    if (!bytes.signature_at(end64, kEnd64Signature)) bytes.fail("the ZIP64 directory is not where the archive says");
    directory = {bytes.number(end64 + 32, 8), bytes.number(end64 + 48, 8), bytes.number(end64 + 40, 8)};
    limit = end64;
  }
  if (directory.offset > limit || directory.size > limit - directory.offset)
    bytes.fail("the zip directory lies outside the file");
  if (directory.num_entries > kMaxEntries || directory.num_entries > directory.size / kCentralSize)
    bytes.fail(str("the zip directory claims ", directory.num_entries, " entries, more than fit or are allowed"));
  return directory;
}

struct CentralEntry {
  std::string_view name;
  uint64_t compressed, size, local_offset, next;  // next: offset of the following directory entry
};

// Sizes of 0xffffffff stand in the ZIP64 extra field (id 1), in this order, only those that are saturated.
void read_zip64(const Bytes& bytes, uint64_t at, uint64_t end, CentralEntry& entry) {
  while (end - at >= 4) {
    const uint64_t id = bytes.number(at, 2), length = bytes.number(at + 2, 2);
    at += 4;
    if (length > end - at) break;
    if (id == 1) {
      uint64_t field = at;
      for (uint64_t* value : {&entry.size, &entry.compressed, &entry.local_offset}) {
        if (*value != 0xffffffff) continue;
        if (at + length - field < 8) bytes.fail(str("zip entry ", quote(entry.name), ": its ZIP64 field is too short"));
        *value = bytes.number(field, 8);
        field += 8;
      }
      return;
    }
    at += length;
  }
}

CentralEntry read_central(const Bytes& bytes, uint64_t at, uint64_t directory_end) {
  bytes.text(at, kCentralSize);
  if (!bytes.signature_at(at, kCentralSignature)) bytes.fail("the zip directory is corrupt; download the file again");
  const uint64_t name_length = bytes.number(at + 28, 2), extra_length = bytes.number(at + 30, 2);
  CentralEntry entry{.name = bytes.text(at + kCentralSize, name_length),
                     .compressed = bytes.number(at + 20, 4),
                     .size = bytes.number(at + 24, 4),
                     .local_offset = bytes.number(at + 42, 4),
                     .next = at + kCentralSize + name_length + extra_length + bytes.number(at + 32, 2)};
  if (entry.next > directory_end) bytes.fail("the zip directory is corrupt; download the file again");
  const uint64_t extra = at + kCentralSize + name_length;
  read_zip64(bytes, extra, extra + extra_length, entry);
  const uint64_t flags = bytes.number(at + 8, 2), method = bytes.number(at + 10, 2);
  if ((flags & 1) != 0) bytes.fail(str("zip entry ", quote(entry.name), " is encrypted"));
  if (method != 0 || entry.compressed != entry.size)
    bytes.fail(str("zip entry ", quote(entry.name), " is compressed; torch.save stores entries as they are"));
  return entry;
}

ZipEntry locate(const Bytes& bytes, const CentralEntry& central, uint64_t directory_offset) {
  bytes.text(central.local_offset, kLocalSize);
  const uint64_t name_length = bytes.number(central.local_offset + 26, 2);
  const uint64_t data = central.local_offset + kLocalSize + name_length + bytes.number(central.local_offset + 28, 2);
  const bool same = bytes.signature_at(central.local_offset, kLocalSignature) &&
                    bytes.text(central.local_offset + kLocalSize, name_length) == central.name;
  if (!same || data > directory_offset || central.size > directory_offset - data)
    bytes.fail(str("zip entry ", quote(central.name), " is not where the directory says; download the file again"));
  return {central.name, data, central.size};
}

}  // namespace

ZipDirectory::ZipDirectory(std::span<const std::byte> file, const std::string& path) {
  const Bytes bytes(file, path);
  const Directory directory = find_directory(bytes);
  entries_.reserve(directory.num_entries);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;  // of local header and data
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.num_entries; ++i) {
    const CentralEntry central = read_central(bytes, at, directory.offset + directory.size);
    entries_.push_back(locate(bytes, central, directory.offset));
    ranges.emplace_back(central.local_offset, entries_.back().offset + entries_.back().size);
    at = central.next;
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      bytes.fail(str("zip entries overlap at byte ", ranges[i].first, "; the file is corrupt"));
  std::sort(entries_.begin(), entries_.end(), [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  for (size_t i = 1; i < entries_.size(); ++i)
    if (entries_[i].name == entries_[i - 1].name)
      bytes.fail(str("zip entry ", quote(entries_[i].name), " is there twice"));
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const ZipEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

}  // namespace qwen
