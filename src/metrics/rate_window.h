// How much of something came per second over the last minute, for figures that people read. One-second slots; any
// thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace qwen {

class RateWindow {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kSeconds = 60;

  explicit RateWindow(Clock::time_point start = Clock::now()) : start_(start) {}

  void add(uint64_t amount, Clock::time_point now = Clock::now());
  // Over the last kSeconds, or the time since `start` where that is shorter, at least one second.
  double per_second(Clock::time_point now = Clock::now()) const;

 private:
  struct Slot {
    int64_t second = -1;  // of the clock
    uint64_t amount = 0;
  };
  const Clock::time_point start_;
  mutable std::mutex mutex_;
  std::array<Slot, kSeconds> slots_;
};

}  // namespace qwen
