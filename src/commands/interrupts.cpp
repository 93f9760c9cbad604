#include "commands/interrupts.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace qwen {
namespace {

// What the handler writes to; it stays open, since a handler may run as long as the process does.
volatile std::sig_atomic_t g_descriptor = -1;

void on_interrupt(int) {
  const int error = errno;
  constexpr uint64_t kOne = 1;
  [[maybe_unused]] const ssize_t written = ::write(g_descriptor, &kOne, sizeof kOne);
  errno = error;
}

}  // namespace

Interrupts::Interrupts() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (descriptor_ < 0) throw Error(ErrorCode::kOs, str("cannot wait for signals: ", std::strerror(errno)));
  g_descriptor = descriptor_;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
}

bool Interrupts::take() const {
  uint64_t count = 0;
  return ::read(descriptor_, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

}  // namespace qwen
