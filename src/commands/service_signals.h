// What may end or disturb a running service from outside. SIGINT and SIGTERM end it; SIGHUP and SIGUSR1 (sent by log
// rotation) are taken and ignored; the service's own events arrive by wake(), never by a signal, which anybody could
// send. Invariant: none of these signals kills the process from the construction on.
#pragma once

#include <csignal>

namespace qwen {

class ServiceSignals {
 public:
  // Blocks the signals for good, in this thread and in all that it starts from here on. Errors: kOs.
  ServiceSignals();
  ~ServiceSignals();
  ServiceSignals(const ServiceSignals&) = delete;
  ServiceSignals& operator=(const ServiceSignals&) = delete;

  // Waits for SIGINT or SIGTERM and returns its number, or for wake() and returns 0.
  int wait();
  // A signal to end that has arrived meanwhile; 0 where none has.
  int poll();
  // Ends wait(), a later one too. From any thread.
  void wake() noexcept;

 private:
  int take();  // the next signal to end, without waiting; 0 where there is none

  sigset_t set_;
  int signals_ = -1;  // signalfd
  int wakes_ = -1;    // eventfd
};

}  // namespace qwen
