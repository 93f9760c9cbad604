// An open file, closed by whoever holds it last, and reading at a place of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

namespace qwen {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  // For reading. Not valid where it cannot be opened; errno says why. A pipe in place of a file does not wait for its
  // writer.
  static FileDescriptor open(const std::filesystem::path& path);
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { close(); }

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  void close();                                     // errno stays
  int release() { return std::exchange(fd_, -1); }  // to somebody who closes it from here on

 private:
  int fd_ = -1;
};

// To what the system allows: a connection is a descriptor, and the usual soft limit of 1024 is a leftover of select().
void raise_descriptor_limit();

// Fills `out` from `offset` on. False where the file ends before (errno 0) or cannot be read (errno says why).
bool read_at(int fd, uint64_t offset, std::span<std::byte> out);

}  // namespace qwen
