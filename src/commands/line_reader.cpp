#include "commands/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace qwen {

LineReader::Result LineReader::next(std::string& line) {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return Result::kLine;
    }
    pollfd events[] = {{STDIN_FILENO, POLLIN, 0}, {interrupts_, POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno == EINTR) continue;
    if ((events[1].revents & POLLIN) != 0) return Result::kInterrupted;
    char bytes[4096];
    const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      line = std::move(buffer_);
      buffer_.clear();
      return line.empty() ? Result::kEnd : Result::kLine;
    }
    buffer_.append(bytes, static_cast<size_t>(n));
  }
}

}  // namespace qwen
