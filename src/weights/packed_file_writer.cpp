#include "weights/packed_file_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "weights/packed_file_layout.h"

namespace qwen {
namespace {

// A write past the process's limit on file sizes sends SIGXFSZ, whose default action ends the process: for this thread
// it is the error EFBIG instead, as long as this lives.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~FileSizeSignalBlocked() {
    const timespec at_once{};
    while (::sigtimedwait(&set_, nullptr, &at_once) > 0 || errno == EINTR) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t set_{}, before_{};
};

void append(std::string& out, const void* bytes, size_t size) { out.append(static_cast<const char*>(bytes), size); }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

PackedFileWriter::PackedFileWriter(std::filesystem::path path, std::string_view key, uint64_t expected_bytes)
    : path_(std::move(path)), partial_path_(path_.string() + ".partial"), key_(key), end_(sizeof(PackedFileHeader)) {
  QWEN_CHECK(key_.size() < sizeof(PackedFileHeader::key));
  if (!lock()) return;
  const FileSizeSignalBlocked blocked;
  // Not every file system can reserve space; then a full disk shows while writing.
  if (::ftruncate(fd_, 0) != 0 || (::fallocate(fd_, 0, 0, static_cast<off_t>(expected_bytes)) != 0 &&
                                   (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)))
    fail("be written", errno);
}

PackedFileWriter::~PackedFileWriter() { close(); }

// A partial file that was completed or removed between open and lock belongs to nobody's future: the name is looked up
// again.
bool PackedFileWriter::lock() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int fd = ::open(partial_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) return fail("be created", errno), false;
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      other_process_ = errno == EWOULDBLOCK;
      if (!other_process_) fail("be locked", errno);
      if (other_process_) problem_ = "is being written by another process";
      ::close(fd);
      return false;
    }
    struct stat own {
    }, named{};
    if (::fstat(fd, &own) != 0 || !S_ISREG(own.st_mode)) {
      ::close(fd);
      return fail("be written", EEXIST), false;
    }
    if (::stat(partial_path_.c_str(), &named) == 0 && own.st_ino == named.st_ino && own.st_dev == named.st_dev) {
      fd_ = fd;
      return true;
    }
    ::close(fd);
  }
  return fail("be locked", EAGAIN), false;
}

void PackedFileWriter::fail(std::string_view action, int reason) {
  problem_ = str("cannot ", action, ": ", std::strerror(reason));
  close();
}

void PackedFileWriter::close() {
  if (fd_ < 0) return;
  ::unlink(partial_path_.c_str());  // while it is locked
  ::close(std::exchange(fd_, -1));
}

void PackedFileWriter::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  const FileSizeSignalBlocked blocked;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("be written", n == 0 ? ENOSPC : errno);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void PackedFileWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  QWEN_CHECK(!bytes.empty() && name.size() <= kMaxPackedName);
  if (fd_ < 0) return;
  const PackedEntryHead head{end_, bytes.size(), static_cast<uint32_t>(name.size()), 0};
  append(table_, &head, sizeof head);
  append(table_, name.data(), name.size());
  ++num_entries_;
  for (size_t start = 0; start < bytes.size() && fd_ >= 0; start += kPackedPiece) {
    const auto piece = bytes.subspan(start, std::min<size_t>(kPackedPiece, bytes.size() - start));
    const uint64_t digest = xxh64(text_of(piece));
    append(table_, &digest, sizeof digest);
    write_at(end_ + start, piece);
  }
  end_ = (end_ + bytes.size() + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
}

void PackedFileWriter::finish() {
  if (fd_ < 0) return;
  PackedFileHeader header{};
  std::memcpy(header.magic, kPackedMagic, sizeof header.magic);
  header.version = kPackedFileVersion;
  header.num_entries = num_entries_;
  header.data_end = end_;
  header.table_bytes = table_.size();
  header.table_digest = xxh64(table_);
  std::memcpy(header.key, key_.data(), key_.size());
  const auto bytes = std::as_bytes(std::span(&header, 1));
  header.digest = xxh64(text_of(bytes.first(offsetof(PackedFileHeader, digest))));
  write_at(end_, std::as_bytes(std::span(table_)));
  if (fd_ >= 0) write_at(0, bytes);
  if (fd_ < 0) return;
  // The space that was reserved beyond the end goes back.
  if (::ftruncate(fd_, static_cast<off_t>(end_ + table_.size())) != 0 || ::fsync(fd_) != 0)
    return fail("be written", errno);
  if (::rename(partial_path_.c_str(), path_.c_str()) != 0) return fail("be renamed", errno);
  ::close(std::exchange(fd_, -1));
}

}  // namespace qwen
