#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace qwen {
namespace {

// Without O_NONBLOCK, opening a pipe in place of a file would wait for a writer for ever.
class FileDescriptor {
 public:
  explicit FileDescriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ >= 0) return;
    const int reason = errno;
    throw Error(reason == EACCES || reason == EPERM ? ErrorCode::kPermission : ErrorCode::kMissingFile,
                str(path.string(), ": ", std::strerror(reason), "; check the path and its permissions"));
  }
  ~FileDescriptor() { ::close(fd_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

size_t regular_file_size(int fd, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw Error(ErrorCode::kMissingFile, str(path.string(), ": ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorCode::kMissingFile,
                str(path.string(), ": is not a regular file; put the file itself or a link to it there"));
  return static_cast<size_t>(info.st_size);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const FileDescriptor fd(path);
  size_ = regular_file_size(fd.get(), path);
  if (size_ == 0) return;  // mmap refuses a length of 0
  void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (mapping == MAP_FAILED)
    throw Error(ErrorCode::kOs, str(path.string(), ": cannot map the file: ", std::strerror(errno)));
  data_ = static_cast<const std::byte*>(mapping);
  guard_.emplace(mapping, size_, path.string());
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
  const FileDescriptor fd(path);
  const size_t size = regular_file_size(fd.get(), path);
  if (size > max_bytes)
    throw Error(ErrorCode::kBadData, str(path.string(), ": ", size, " bytes, more than the ", max_bytes,
                                         " allowed for a file of this name; copy the right one there"));
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(fd.get(), text.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(ErrorCode::kMissingFile, str(path.string(), ": ", std::strerror(errno)));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

}  // namespace qwen
