#include "commands/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace qwen {

LineReader::Result LineReader::next(std::string& line) {
  while (true) {
    const size_t end = buffer_.find('\n');
    const bool there = end != std::string::npos;
    pollfd events[] = {{interrupts_, POLLIN, 0}, {input_, POLLIN, 0}};
    if (::poll(events, 2, there ? 0 : -1) < 0 && errno == EINTR) continue;
    if ((events[0].revents & POLLIN) != 0) return Result::kInterrupted;
    if (there) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return Result::kLine;
    }
    char bytes[4096];
    const ssize_t n = ::read(input_, bytes, sizeof bytes);
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
