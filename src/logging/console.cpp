#include "logging/console.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace qwen {

namespace {
constexpr size_t kMaxWrite = 64 * 1024;
}

void Console::write(const std::vector<LogRecord>& records) {
  std::string text;
  for (size_t i = 0; i < records.size();) {
    const size_t first = i;
    text.clear();
    while (i < records.size() && text.size() < kMaxWrite) format_.append(text, records[i++]);
    writable_ = write_all(text);
    if (writable_) continue;
    ++failures_;
    dropped_ += i - first;
  }
}

bool Console::write_all(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {  // somebody who shares it does not want to wait
      pollfd room{descriptor_, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace qwen
