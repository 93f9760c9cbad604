// See mapped_file.h.
#include "base/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace qwen {
namespace {

FileDescriptor open_or_throw(const std::filesystem::path& path) {
  FileDescriptor file = FileDescriptor::open(path);
  if (file.valid()) return file;
  const int reason = errno;
  throw Error(reason == EACCES || reason == EPERM ? ErrorCode::kPermission : ErrorCode::kMissingFile,
              str(path.string(), ": ", std::strerror(reason), "; check the path and its permissions"));
}

struct stat regular_file_status(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    throw Error(ErrorCode::kMissingFile, str(path.string(), ": ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::kMissingFile,
                str(path.string(), ": is not a regular file; put the file itself or a link to it there"));
  return info;
}

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const FileDescriptor file = open_or_throw(path);
  regular_file_status(file, path);
  if (!map_all(file, "copy it again, and change no folder that is being loaded"))
    throw Error(ErrorCode::kOs, str(path.string(), ": cannot map the file: ", std::strerror(errno)));
}

std::unique_ptr<MappedFile> MappedFile::map(const FileDescriptor& file, const std::filesystem::path& path,
                                            std::string_view mend) {
  std::unique_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  if (!mapped->map_all(file, mend)) return nullptr;
  return mapped;
}

bool MappedFile::map_all(const FileDescriptor& file, std::string_view mend) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return false;
  status_ = {nanoseconds(info.st_mtim), nanoseconds(info.st_ctim), info.st_uid, info.st_gid, info.st_mode & 07777};
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return true;  // mmap refuses a length of 0
  void* const mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapping == MAP_FAILED) return false;
  data_ = static_cast<const std::byte*>(mapping);
  guard_.emplace(mapping, size_, path_.string(), mend);
  return true;
}

MappedFile::~MappedFile() {
  guard_.reset();
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const {
  if (part.empty()) return;
  // Only whole pages inside the range: its border pages may belong to a neighbour that is still in use.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  const FileDescriptor file = open_or_throw(path);
  const auto size = static_cast<size_t>(regular_file_status(file, path).st_size);
  if (size > max_bytes)
    throw Error(ErrorCode::kBadData, str(path.string(), ": ", size, " bytes, more than the ", max_bytes,
                                         " allowed for a file of this name; copy the right one there"));
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.get(), text.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(ErrorCode::kMissingFile, str(path.string(), ": ", std::strerror(errno)));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

}  // namespace qwen
