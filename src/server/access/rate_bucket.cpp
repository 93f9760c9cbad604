#include "server/access/rate_bucket.h"

#include <algorithm>
#include <cmath>

namespace qwen {
namespace {

constexpr int64_t kMinute = 60'000'000'000;
constexpr int64_t kFurthest = 100'000'000'000'000'000;  // three years: what is overdrawn beyond is forgiven

int64_t ticks(RateBucket::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

// How long `units` take to come. Rounded down: the last one of a minute fits where the rate does not divide it.
int64_t time_of(double units, double per_minute) {
  const auto furthest = static_cast<double>(kFurthest);
  return static_cast<int64_t>(
      std::floor(std::clamp(units * static_cast<double>(kMinute) / per_minute, -furthest, furthest)));
}

}  // namespace

RateLevel RateBucket::take(double per_minute, double amount, double least, TimePoint now) {
  const int64_t at = ticks(now), taken = time_of(amount, per_minute), needed = time_of(least, per_minute);
  int64_t full_at = full_at_.load(std::memory_order_relaxed), missing = 0;
  RateLevel level;
  // Never back, also for those whose `now` is older than another's.
  do {
    missing = std::max<int64_t>(full_at - at, 0);
    level.enough = missing + needed <= kMinute;
  } while (level.enough && taken > 0 &&
           !full_at_.compare_exchange_weak(full_at, at + std::min(missing + taken, std::max(missing, kFurthest)),
                                           std::memory_order_relaxed));
  if (level.enough)
    missing += taken;
  else
    level.wait = static_cast<double>(missing + needed - kMinute) / 1e9;
  level.left = per_minute * static_cast<double>(kMinute - missing) / static_cast<double>(kMinute);
  level.to_full = static_cast<double>(missing) / 1e9;
  return level;
}

bool RateBucket::full(TimePoint now) const { return full_at_.load(std::memory_order_relaxed) <= ticks(now); }

}  // namespace qwen
