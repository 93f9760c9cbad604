#include "commands/service_signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/error.h"
#include "base/log.h"

namespace qwen {
namespace {

int checked(int descriptor) {
  if (descriptor < 0) throw Error(ErrorCode::kOs, str("cannot wait for signals: ", std::strerror(errno)));
  return descriptor;
}

}  // namespace

ServiceSignals::ServiceSignals() {
  ::sigemptyset(&set_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) ::sigaddset(&set_, number);
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for this signal
  signals_ = checked(::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK));
  wakes_ = checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

ServiceSignals::~ServiceSignals() {
  ::close(signals_);
  ::close(wakes_);
}

int ServiceSignals::take() {
  signalfd_siginfo info;
  if (::read(signals_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
  const int number = static_cast<int>(info.ssi_signo);
  if (number == SIGUSR1) {
    log_info("SIGUSR1 from process ", info.ssi_pid, ": the log files are opened anew");
    reopen_log();
  }
  return number;
}

int ServiceSignals::wait(std::optional<std::chrono::milliseconds> limit) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + limit.value_or(std::chrono::milliseconds(0));
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd events[] = {{signals_, POLLIN, 0}, {wakes_, POLLIN, 0}};
    ::poll(events, 2, limit ? static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)) : -1);
    if (const int number = take(); number != 0) return number;
    uint64_t wakes = 0;
    if (::read(wakes_, &wakes, sizeof wakes) == static_cast<ssize_t>(sizeof wakes)) return kWoken;
    if (limit && Clock::now() >= end) return kNothing;
  }
}

int ServiceSignals::poll() {
  for (;;) {
    const int number = take();
    if (number == SIGHUP)
      log_info("SIGHUP: ignored, the service is shutting down");
    else if (number != SIGUSR1)
      return number;
  }
}

void ServiceSignals::wake() noexcept {
  constexpr uint64_t kOne = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakes_, &kOne, sizeof kOne);
}

}  // namespace qwen
