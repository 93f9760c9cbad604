// What is left of one rate, as a bucket that fills up evenly. It holds what one minute allows at most, and is full when
// it is first seen. It may be overdrawn by what is only known afterwards (tokens): then it stays empty until that is
// made up for.
// Invariant: one atomic number is all of it (when the bucket will be full; the generic cell rate algorithm of ATM), so
// it may lie in memory that processes share: nobody waits, and one that is killed or hangs leaves it whole.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace qwen {

struct RateLevel {
  bool enough = true;
  double left = 0;     // after what was taken; below 0: overdrawn
  double wait = 0;     // seconds until there will be enough; 0 where there is
  double to_full = 0;  // seconds
};

class RateBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;  // the same in all processes of a machine

  // Takes `amount` where there is at least `least`, else nothing. `per_minute` > 0, always the same. Any thread of any
  // process.
  RateLevel take(double per_minute, double amount, double least, TimePoint now);

  bool full(TimePoint now) const;  // is as good as a new one

 private:
  std::atomic<int64_t> full_at_{0};  // nanoseconds of the clock
};

static_assert(std::atomic<int64_t>::is_always_lock_free);

}  // namespace qwen
