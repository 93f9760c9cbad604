// A write past the process's limit on file sizes sends SIGXFSZ, whose default action ends the process: for this thread
// it is the error EFBIG instead, as long as this lives.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>

namespace qwen {

class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  // Leaves errno alone, so that a caller may say what went wrong.
  ~FileSizeSignalBlocked() {
    const int error = errno;
    const timespec at_once{};
    while (::sigtimedwait(&set_, nullptr, &at_once) > 0 || errno == EINTR) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t set_{}, before_{};
};

}  // namespace qwen
