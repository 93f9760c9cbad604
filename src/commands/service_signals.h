// What may end or disturb a running service from outside. SIGINT and SIGTERM end it; SIGHUP asks it to read its
// configuration again; SIGUSR1 (sent by log rotation) has had this process's log files opened anew by the time that
// anybody hears of it; the service's own events arrive by wake(), never by a signal, which anybody could send.
// Invariant: none of these signals kills the process from the construction on.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>

namespace qwen {

class ServiceSignals {
 public:
  // Blocks the signals for good, in this thread and in all that it starts from here on. Errors: kOs.
  ServiceSignals();
  ~ServiceSignals();
  ServiceSignals(const ServiceSignals&) = delete;
  ServiceSignals& operator=(const ServiceSignals&) = delete;

  static constexpr int kWoken = 0, kNothing = -1;
  // Waits for one of the four signals and returns its number, for wake() and returns kWoken, or for `limit` to pass
  // and returns kNothing.
  int wait(std::optional<std::chrono::milliseconds> limit = {});
  // A signal to end that has arrived meanwhile; 0 where none has. The others are ignored.
  int poll();
  // Ends wait(), or the next one. From any thread.
  void wake() noexcept;

 private:
  int take();  // the next signal, without waiting; 0 where there is none

  sigset_t set_;
  int signals_ = -1;  // signalfd
  int wakes_ = -1;    // eventfd
};

}  // namespace qwen
