// Header and table first, then the data in pieces by a few threads, each piece checked while it is in the cache. The
// pages that the kernel caches of the file are left to it: the next start reads them.
#include "weights/packed_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/anonymous_memory.h"
#include "base/checked_math.h"
#include "base/cpu_count.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "weights/packed_file_layout.h"
#include "weights/tensor_info.h"

namespace qwen {
namespace {

constexpr int kMaxReaders = 8;  // more do not read memory faster
constexpr const char* kDamaged = "is damaged: ";

class Descriptor {
 public:
  // Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
  explicit Descriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

bool read_at(int fd, uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

uint64_t digest_of(std::span<const std::byte> bytes) {
  return xxh64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

struct Entry {
  std::string name;
  uint64_t offset = 0, size_bytes = 0;
  std::vector<uint64_t> digests;  // of its pieces
};

// Takes values off the front of the table.
class TableReader {
 public:
  explicit TableReader(std::span<const std::byte> table) : rest_(table) {}
  bool take(void* out, uint64_t bytes) {
    if (bytes > rest_.size()) return false;
    if (bytes > 0) std::memcpy(out, rest_.data(), static_cast<size_t>(bytes));
    rest_ = rest_.subspan(static_cast<size_t>(bytes));
    return true;
  }
  bool has(uint64_t bytes) const { return bytes <= rest_.size(); }
  bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

// Whether the table is one: entries in ascending order, apart, inside the data.
bool parse_table(std::span<const std::byte> table, const PackedFileHeader& header, std::vector<Entry>& entries) {
  TableReader reader(table);
  uint64_t end = sizeof(PackedFileHeader);
  for (uint32_t i = 0; i < header.num_entries; ++i) {
    PackedEntryHead head;
    if (!reader.take(&head, sizeof head)) return false;
    const auto entry_end = checked_add(head.offset, head.size_bytes);
    if (head.offset % kPackedAlignment != 0 || head.offset < end || !entry_end || *entry_end > header.data_end ||
        head.size_bytes == 0 || head.name_bytes > kMaxPackedName || !reader.has(head.name_bytes))
      return false;
    end = *entry_end;
    Entry entry{.name = std::string(head.name_bytes, '\0'), .offset = head.offset, .size_bytes = head.size_bytes};
    reader.take(entry.name.data(), head.name_bytes);
    const uint64_t pieces = packed_pieces(head.size_bytes);
    if (!reader.has(pieces * sizeof(uint64_t))) return false;  // data_end bounds the pieces
    entry.digests.resize(static_cast<size_t>(pieces));
    reader.take(entry.digests.data(), pieces * sizeof(uint64_t));
    entries.push_back(std::move(entry));
  }
  return reader.empty();
}

// Why the header does not fit the file, or nothing.
std::string header_problem(const PackedFileHeader& header, std::string_view key, uint64_t file_bytes) {
  if (std::memcmp(header.magic, kPackedMagic, sizeof header.magic) != 0) return "holds no packed weights";
  if (header.version != kPackedFileVersion) return str("is of version ", header.version);
  if (header.digest != digest_of(std::as_bytes(std::span(&header, 1)).first(offsetof(PackedFileHeader, digest))))
    return str(kDamaged, "its header");
  if (header.key[sizeof header.key - 1] != '\0' || key != header.key)
    return "was made from another model, format or version";
  if (header.data_end < sizeof header || header.data_end > file_bytes || header.data_end % kPackedAlignment != 0 ||
      header.table_bytes != file_bytes - header.data_end || header.table_bytes > kMaxPackedTable ||
      header.num_entries > kMaxTensors)
    return str(kDamaged, "its size");
  return {};
}

// Where the file's bytes from offset `origin` on lie.
struct Memory {
  std::byte* data = nullptr;
  uint64_t origin = 0;

  std::span<std::byte> at(uint64_t offset, uint64_t bytes) const {
    return {data + (offset - origin), static_cast<size_t>(bytes)};
  }
};

// Brings the entries' pieces into memory, where they are not there already, and checks them.
class Reading {
 public:
  Reading(int fd, Memory memory, const std::vector<Entry>& entries, bool copy) : fd_(fd), memory_(memory), copy_(copy) {
    for (const Entry& entry : entries) {
      total_bytes_ += entry.size_bytes;
      for (size_t piece = 0; piece < entry.digests.size(); ++piece) pieces_.push_back({&entry, piece});
    }
  }

  bool run(const ProgressFn& progress) {
    std::vector<std::thread> others;
    const int wanted = std::min(usable_cores(), kMaxReaders) - 1;
    const auto join = [&] {
      for (std::thread& other : others) other.join();
    };
    try {
      for (int i = 0; i < wanted; ++i) others.emplace_back([this] { work({}); });
    } catch (const std::system_error&) {  // as many as there are
    }
    try {
      work(progress);
    } catch (...) {
      stop_ = true;
      join();
      throw;
    }
    join();
    if (progress && !damaged_) progress(total_bytes_, total_bytes_);
    return !damaged_;
  }

 private:
  struct Piece {
    const Entry* entry;
    size_t index;
  };

  void work(const ProgressFn& progress) {
    while (!stop_ && !damaged_) {
      const size_t next = next_.fetch_add(1);
      if (next >= pieces_.size()) return;
      const Entry& entry = *pieces_[next].entry;
      const uint64_t start = pieces_[next].index * kPackedPiece, offset = entry.offset + start;
      const std::span<std::byte> bytes = memory_.at(offset, std::min(kPackedPiece, entry.size_bytes - start));
      const bool read = !copy_ || read_at(fd_, offset, bytes);
      if (!read || digest_of(bytes) != entry.digests[pieces_[next].index]) damaged_ = true;
      const uint64_t done = done_bytes_.fetch_add(bytes.size()) + bytes.size();
      if (progress && next % 16 == 0) progress(done, total_bytes_);
    }
  }

  const int fd_;
  const Memory memory_;
  const bool copy_;
  std::vector<Piece> pieces_;
  uint64_t total_bytes_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> done_bytes_{0};
  std::atomic<bool> damaged_{false}, stop_{false};
};

}  // namespace

std::optional<PackedFile> PackedFile::open(const std::filesystem::path& path, std::string_view key, PackedAccess access,
                                           uint64_t max_bytes, const ProgressFn& progress, std::string& problem) {
  problem.clear();
  const Descriptor fd(path);
  if (fd.get() < 0) {
    if (errno != ENOENT && errno != ENOTDIR) problem = str("cannot be read: ", std::strerror(errno));
    return std::nullopt;
  }
  const auto refuse = [&](std::string why) {
    problem = std::move(why);
    return std::nullopt;
  };
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return refuse("is not a regular file");
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  PackedFileHeader header;
  if (file_bytes < sizeof header || !read_at(fd.get(), 0, std::as_writable_bytes(std::span(&header, 1))))
    return refuse("holds no packed weights");
  if (std::string why = header_problem(header, key, file_bytes); !why.empty()) return refuse(std::move(why));
  if (file_bytes > max_bytes) return refuse(str("has ", file_bytes, " bytes, more than such weights take"));

  std::vector<std::byte> table(static_cast<size_t>(header.table_bytes));
  std::vector<Entry> entries;
  if (!read_at(fd.get(), header.data_end, table) || digest_of(table) != header.table_digest ||
      !parse_table(table, header, entries))
    return refuse(str(kDamaged, "its table"));

  PackedFile file;
  file.size_bytes_ = file_bytes;
  Memory memory;
  if (access == PackedAccess::kCopy) {
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    std::shared_ptr<std::byte> arena =
        allocate_anonymous_memory(static_cast<size_t>(header.data_end - sizeof header), "weights");
    memory = {arena.get(), sizeof header};
    file.owner_ = std::move(arena);
  } else {
    auto mapped = std::make_shared<MappedFile>(path);
    // Another file may have taken the name since: its table is another.
    if (mapped->bytes().size() != file_bytes || std::memcmp(mapped->bytes().data(), &header, sizeof header) != 0)
      return refuse("changed while it was opened");
    memory = {const_cast<std::byte*>(mapped->bytes().data()), 0};  // only read
    file.owner_ = std::move(mapped);
  }
  if (!Reading(fd.get(), memory, entries, access == PackedAccess::kCopy).run(progress))
    return refuse(str(kDamaged, "its weights"));
  for (Entry& entry : entries) file.entries_.emplace(std::move(entry.name), memory.at(entry.offset, entry.size_bytes));
  return file;
}

std::span<const std::byte> PackedFile::find(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? std::span<const std::byte>() : it->second;
}

}  // namespace qwen
