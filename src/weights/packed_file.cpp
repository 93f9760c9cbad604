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
#include "base/file_descriptor.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "weights/tensor_info.h"

namespace qwen {
namespace {

constexpr int kMaxReaders = 8;  // more do not read memory faster
constexpr const char* kDamaged = "is damaged: ";

uint64_t digest_of(std::span<const std::byte> bytes) {
  return xxh64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// After a failed read_at.
std::string read_problem(std::string_view what) {
  return errno == 0 ? str(kDamaged, what) : str("cannot be read: ", std::strerror(errno));
}

struct EntryPlace {
  std::string name, note;
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
bool parse_table(std::span<const std::byte> table, const PackedFileHeader& header, std::vector<EntryPlace>& entries) {
  TableReader reader(table);
  uint64_t end = sizeof(PackedFileHeader);
  for (uint32_t i = 0; i < header.num_entries; ++i) {
    PackedEntryHead head;
    if (!reader.take(&head, sizeof head)) return false;
    const auto entry_end = checked_add(head.offset, head.size_bytes);
    if (head.offset % kPackedAlignment != 0 || head.offset < end || !entry_end || *entry_end > header.data_end ||
        head.size_bytes == 0 || head.name_bytes > kMaxPackedName || head.note_bytes > kMaxPackedName ||
        !reader.has(uint64_t{head.name_bytes} + head.note_bytes))
      return false;
    end = *entry_end;
    EntryPlace entry{.name = std::string(head.name_bytes, '\0'),
                     .note = std::string(head.note_bytes, '\0'),
                     .offset = head.offset,
                     .size_bytes = head.size_bytes};
    reader.take(entry.name.data(), head.name_bytes);
    reader.take(entry.note.data(), head.note_bytes);
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
    return "was made in another format or version, or for another config.json";
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
  Reading(int fd, Memory memory, const std::vector<EntryPlace>& entries, bool copy, int threads)
      : fd_(fd), memory_(memory), copy_(copy), threads_(threads) {
    for (const EntryPlace& entry : entries) {
      total_bytes_ += entry.size_bytes;
      for (size_t piece = 0; piece < entry.digests.size(); ++piece) pieces_.push_back({&entry, piece});
    }
  }

  // Nothing, or what is wrong with the file.
  std::string run(const ProgressFn& progress) {
    std::vector<std::thread> others;
    const auto join = [&] {
      for (std::thread& other : others) other.join();
    };
    try {
      for (int i = 1; i < threads_; ++i) others.emplace_back([this] { work({}); });
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
    if (failed_read_ != 0) return str("cannot be read: ", std::strerror(failed_read_));
    if (damaged_) return str(kDamaged, "its weights");
    if (progress) progress(total_bytes_, total_bytes_);
    return {};
  }

 private:
  struct Piece {
    const EntryPlace* entry;
    size_t index;
  };

  void work(const ProgressFn& progress) {
    while (!stop_ && !damaged_) {
      const size_t next = next_.fetch_add(1);
      if (next >= pieces_.size()) return;
      const EntryPlace& entry = *pieces_[next].entry;
      const uint64_t start = pieces_[next].index * kPackedPiece, offset = entry.offset + start;
      const std::span<std::byte> bytes = memory_.at(offset, std::min(kPackedPiece, entry.size_bytes - start));
      const bool read = !copy_ || read_at(fd_, offset, bytes);
      if (!read) failed_read_ = errno;  // 0: it has become shorter
      if (!read || digest_of(bytes) != entry.digests[pieces_[next].index]) damaged_ = true;
      const uint64_t done = done_bytes_.fetch_add(bytes.size()) + bytes.size();
      if (progress && next % 16 == 0) progress(done, total_bytes_);
    }
  }

  const int fd_;
  const Memory memory_;
  const bool copy_;
  const int threads_;
  std::vector<Piece> pieces_;
  uint64_t total_bytes_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> done_bytes_{0};
  std::atomic<bool> damaged_{false}, stop_{false};
  std::atomic<int> failed_read_{0};  // errno
};

// Why somebody else could have put other bytes there, or nothing.
std::string trust_problem(const struct stat& info, std::optional<uint32_t> weights_owner) {
  if (info.st_uid != 0 && info.st_uid != ::geteuid() && info.st_uid != weights_owner)
    return str("belongs to user ", info.st_uid, ", neither root nor this one nor the owner of the weights");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return "may be written by others; allow it to its owner alone (chmod go-w)";
  return {};
}

}  // namespace

std::optional<PackedFile> PackedFile::open(const std::filesystem::path& path, std::string_view key,
                                           const SameSource& same_source, const PackedReadOptions& options,
                                           const ProgressFn& progress, std::string& problem) {
  problem.clear();
  const FileDescriptor file = FileDescriptor::open(path);
  if (!file.valid()) {
    if (errno != ENOENT && errno != ENOTDIR) problem = str("cannot be read: ", std::strerror(errno));
    return std::nullopt;
  }
  const auto refuse = [&](std::string why) {
    problem = std::move(why);
    return std::nullopt;
  };
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return refuse("is not a regular file");
  if (std::string why = trust_problem(info, options.weights_owner); !why.empty()) return refuse(std::move(why));
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  PackedFileHeader header;
  if (file_bytes < sizeof header) return refuse("holds no packed weights");
  if (!read_at(file.get(), 0, std::as_writable_bytes(std::span(&header, 1)))) return refuse(read_problem("its header"));
  if (std::string why = header_problem(header, key, file_bytes); !why.empty()) return refuse(std::move(why));
  if (file_bytes > options.max_bytes) return refuse(str("has ", file_bytes, " bytes, more than such weights take"));

  std::vector<std::byte> table(static_cast<size_t>(header.table_bytes));
  std::vector<EntryPlace> entries;
  if (!read_at(file.get(), header.data_end, table)) return refuse(read_problem("its table"));
  if (digest_of(table) != header.table_digest || !parse_table(table, header, entries))
    return refuse(str(kDamaged, "its table"));
  if (!same_source(header.source)) return refuse("was made from other weights");

  PackedFile packed;
  packed.size_bytes_ = file_bytes;
  Memory memory;
  const bool copy = options.access == PackedAccess::kCopy;
  if (copy) {
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    // A small arena is not aligned to pages by itself.
    const auto bytes = static_cast<size_t>(header.data_end - sizeof header);
    std::shared_ptr<std::byte> arena = allocate_anonymous_memory(bytes + kPackedAlignment, "weights");
    const uintptr_t misaligned = reinterpret_cast<uintptr_t>(arena.get()) % kPackedAlignment;
    memory = {arena.get() + (misaligned == 0 ? 0 : kPackedAlignment - misaligned), sizeof header};
    packed.owner_ = std::move(arena);
  } else {
    std::shared_ptr<MappedFile> mapped = MappedFile::map(file, path, "delete it and start again");
    if (mapped == nullptr) return refuse(str("cannot be mapped: ", std::strerror(errno)));
    if (mapped->bytes().size() < header.data_end) return refuse(str(kDamaged, "its size"));  // cut meanwhile
    memory = {const_cast<std::byte*>(mapped->bytes().data()), 0};                            // only read
    packed.owner_ = std::move(mapped);
  }
  const int threads = std::min(options.threads > 0 ? options.threads : usable_cores(), kMaxReaders);
  if (std::string why = Reading(file.get(), memory, entries, copy, threads).run(progress); !why.empty())
    return refuse(std::move(why));
  for (EntryPlace& entry : entries)
    packed.entries_.emplace(std::move(entry.name),
                            Entry{memory.at(entry.offset, entry.size_bytes), std::move(entry.note)});
  return packed;
}

const PackedFile::Entry* PackedFile::find(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace qwen
