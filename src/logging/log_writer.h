// A thread that writes log records, and the bounded queue before it. push() never waits for the writing: under pressure
// records below WARNING are dropped and counted; those from WARNING on have a bound of their own, so that no flood of
// requests displaces an error.
//
// The writing may hang (a disk that is gone, a pipe that nobody reads): stop() gives up on it after a time and leaves
// the thread to its fate, which owns all that it uses.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/log_record.h"

namespace qwen {

class LogWriter {
 public:
  // Gets what was pushed, in order, and how many records were dropped before it. Called with nothing every `tick`, for
  // what has to be tried again.
  using Write = std::function<void(const std::vector<LogRecord>& records, uint64_t dropped)>;

  struct Bounds {
    size_t bytes = 4 << 20;         // of records below WARNING that wait
    size_t urgent_bytes = 4 << 20;  // of the others
  };

  // Errors: kOs where no thread can be started.
  LogWriter(Write write, Bounds bounds, std::chrono::milliseconds tick);
  ~LogWriter() { stop(std::chrono::milliseconds(0)); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  bool push(LogRecord record);  // any thread; false: it was dropped
  void wake() noexcept;         // write() is called soon, be it with nothing. Async-signal-safe
  uint64_t dropped() const;

  // For the handler of a signal that ends the process: a record of it is written after all others. Async-signal-safe.
  void push_fatal_signal(int number) noexcept;
  // Waits until all that was pushed before is written, at most `limit`; false: it is not. Async-signal-safe.
  bool flush(std::chrono::milliseconds limit) const noexcept;

  // Writes what is queued, within `limit`, and ends the thread. Later records are dropped.
  void stop(std::chrono::milliseconds limit);

 private:
  struct State;
  const std::shared_ptr<State> state_;
  bool stopped_ = false;
};

}  // namespace qwen
