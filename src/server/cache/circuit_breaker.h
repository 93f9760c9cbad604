// Whether a service that may fail is worth asking. After some failures in a row it is open: nobody asks, until a trial
// by who keeps it succeeds (half open). Trials come after longer and longer pauses, drawn at random so that replicas do
// not come together; the pause is short again once a request, not only a trial, was answered. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <random>

namespace qwen {

class CircuitBreaker {
 public:
  struct Options {
    int failures = 5;  // in a row
    std::chrono::milliseconds first_pause{100}, longest_pause{10'000};
  };
  CircuitBreaker() : CircuitBreaker(Options()) {}
  explicit CircuitBreaker(const Options& options) : options_(options), pause_(options.first_pause) {}

  bool open() const { return open_.load(std::memory_order_relaxed); }

  void success();                          // of a request
  bool failure();                          // of a request; true: this one opened it
  bool trip();                             // opens it at once; true: it was closed
  bool close();                            // the trial succeeded; true: it was open
  std::chrono::milliseconds next_pause();  // before the next trial: from half of it to all of it

 private:
  const Options options_;
  std::atomic<bool> open_{false};
  std::mutex mutex_;  // guards what follows, and changes of open_
  int failures_ = 0;
  std::chrono::milliseconds pause_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace qwen
