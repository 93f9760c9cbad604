// See packed_file_writer.h.
#include "weights/packed_file_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file_size_signal.h"
#include "base/hash.h"
#include "weights/packed_file_layout.h"

namespace qwen {
namespace {

void append(std::string& out, const void* bytes, size_t size) { out.append(static_cast<const char*>(bytes), size); }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

PackedFileWriter::PackedFileWriter(std::filesystem::path path, std::string_view key, uint64_t expected_bytes,
                                   const PackedFileReaders& readers)
    : path_(std::move(path)),
      partial_path_(path_.string() + ".partial"),
      key_(key),
      end_(sizeof(PackedFileHeader)),
      readers_(readers) {
  QWEN_CHECK(key_.size() < sizeof(PackedFileHeader::key));
  if (!lock()) return;
  const FileSizeSignalBlocked blocked;
  // Not every file system can reserve space; then a full disk shows while writing.
  if (::ftruncate(file_.get(), 0) != 0 || (::fallocate(file_.get(), 0, 0, static_cast<off_t>(expected_bytes)) != 0 &&
                                           (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)))
    fail("be written", errno);
}

PackedFileWriter::~PackedFileWriter() { close(); }

// A new file, or what a killed process of this user left. Anything else under that name is put aside: through a link,
// or by way of its owner, the finished file would be somebody else's.
FileDescriptor PackedFileWriter::open_partial() {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  FileDescriptor found(::open(partial_path_.c_str(), kFlags));
  if (found.valid()) {
    struct stat info {};
    if (::fstat(found.get(), &info) != 0) return {};
    if (S_ISREG(info.st_mode) && info.st_uid == ::geteuid() && info.st_nlink == 1) return found;
    // Whoever writes it at the moment is let.
    if (S_ISREG(info.st_mode) && ::flock(found.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return found;
  }
  if ((found.valid() || errno != ENOENT) && ::unlink(partial_path_.c_str()) != 0 && errno != ENOENT) return {};
  return FileDescriptor(::open(partial_path_.c_str(), kFlags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
}

// A partial file that was completed or removed between open and lock belongs to nobody's future: the name is looked up
// again.
bool PackedFileWriter::lock() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    FileDescriptor file = open_partial();
    if (!file.valid()) {
      if (errno == EEXIST) continue;
      return fail("be created", errno), false;
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      other_process_ = errno == EWOULDBLOCK;
      if (!other_process_) return fail("be locked", errno), false;
      problem_ = "is being written by another process";
      return false;
    }
    if (named(file.get())) {
      ::fchmod(file.get(), S_IRUSR | S_IWUSR);  // one that was left may have had readers
      file_ = std::move(file);
      return true;
    }
  }
  return fail("be locked", EAGAIN), false;
}

bool PackedFileWriter::named(int fd) const {
  struct stat own {
  }, named{};
  return ::fstat(fd, &own) == 0 && ::lstat(partial_path_.c_str(), &named) == 0 && own.st_ino == named.st_ino &&
         own.st_dev == named.st_dev;
}

void PackedFileWriter::fail(std::string_view action, int reason) {
  problem_ = str("cannot ", action, ": ", std::strerror(reason));
  if (reason == EACCES || reason == EPERM || reason == EISDIR) {
    struct stat info {};
    if (::lstat(partial_path_.c_str(), &info) == 0) problem_ += str("; remove ", partial_path_.string());
  }
  close();
}

void PackedFileWriter::close() {
  if (!file_.valid()) return;
  if (named(file_.get())) ::unlink(partial_path_.c_str());  // while it is locked
  file_.close();
}

void PackedFileWriter::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  const FileSizeSignalBlocked blocked;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("be written", n == 0 ? ENOSPC : errno);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void PackedFileWriter::add(std::string_view name, std::span<const std::byte> bytes, std::string_view note) {
  QWEN_CHECK(!bytes.empty() && name.size() <= kMaxPackedName && note.size() <= kMaxPackedName);
  if (!file_.valid()) return;
  const PackedEntryHead head{end_, bytes.size(), static_cast<uint32_t>(name.size()),
                             static_cast<uint32_t>(note.size())};
  append(table_, &head, sizeof head);
  append(table_, name.data(), name.size());
  append(table_, note.data(), note.size());
  ++num_entries_;
  for (size_t start = 0; start < bytes.size() && file_.valid(); start += kPackedPiece) {
    const auto piece = bytes.subspan(start, std::min<size_t>(kPackedPiece, bytes.size() - start));
    const uint64_t digest = xxh64(text_of(piece));
    append(table_, &digest, sizeof digest);
    write_at(end_ + start, piece);
  }
  end_ = (end_ + bytes.size() + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
}

// The group first: until it is the right one, nobody else reads.
void PackedFileWriter::share() {
  mode_t mode = readers_.mode & (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  const bool everybody = (mode & S_IROTH) != 0;
  if (readers_.group && ::fchown(file_.get(), static_cast<uid_t>(-1), *readers_.group) != 0 && !everybody)
    mode &= ~static_cast<mode_t>(S_IRGRP);
  ::fchmod(file_.get(), mode | S_IRUSR | S_IWUSR);  // what fails leaves it to this user alone
}

void PackedFileWriter::finish(const PackedSource& source) {
  if (!file_.valid()) return;
  PackedFileHeader header{};
  std::memcpy(header.magic, kPackedMagic, sizeof header.magic);
  header.version = kPackedFileVersion;
  header.num_entries = num_entries_;
  header.data_end = end_;
  header.table_bytes = table_.size();
  header.table_digest = xxh64(table_);
  header.source = source;
  std::memcpy(header.key, key_.data(), key_.size());
  const auto bytes = std::as_bytes(std::span(&header, 1));
  header.digest = xxh64(text_of(bytes.first(offsetof(PackedFileHeader, digest))));
  write_at(end_, std::as_bytes(std::span(table_)));
  if (file_.valid()) write_at(0, bytes);
  if (!file_.valid()) return;
  // The space that was reserved beyond the end goes back.
  if (::ftruncate(file_.get(), static_cast<off_t>(end_ + table_.size())) != 0) return fail("be written", errno);
  share();
  if (::fsync(file_.get()) != 0) return fail("be written", errno);
  if (!named(file_.get())) return fail("be renamed", ENOENT);
  if (::rename(partial_path_.c_str(), path_.c_str()) != 0) return fail("be renamed", errno);
  file_.close();
  // The name too goes to the disk; a folder that may be written but not read does without.
  const std::filesystem::path folder = path_.parent_path();
  if (const FileDescriptor parent = FileDescriptor::open(folder.empty() ? "." : folder); parent.valid())
    ::fsync(parent.get());
}

}  // namespace qwen
