#include "commands/interrupts.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace qwen {
namespace {

// What the handler writes to; it stays open, since a handler may run as long as the process does.
std::atomic<int> g_descriptor{-1};
static_assert(std::atomic<int>::is_always_lock_free);

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
  action.sa_flags = SA_RESTART;  // a write that a signal ends early would leave std::cout useless
  ::sigaction(SIGINT, &action, nullptr);
}

void Interrupts::restore() { ::signal(SIGINT, SIG_DFL); }

bool Interrupts::take() const {
  uint64_t count = 0;
  return ::read(descriptor_, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

}  // namespace qwen
