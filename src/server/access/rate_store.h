// How much of each rate is left, as buckets that fill up evenly. Behind an interface: processes that share a port can
// keep the buckets where all of them see them.
//
// A bucket holds what one minute allows at most, and is full when it is first seen. It may be overdrawn by what is
// only known afterwards (tokens): then it stays empty until that is made up for.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace qwen {

struct RateLevel {
  bool enough = true;
  double left = 0;     // after what was taken; below 0: overdrawn
  double wait = 0;     // seconds until there will be enough; 0 where there is
  double to_full = 0;  // seconds
};

class RateStore {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~RateStore() = default;

  // Takes `amount` from the bucket where it holds at least `least`, else nothing. `per_minute` > 0 may change from call
  // to call. Any thread; does not wait.
  virtual RateLevel take(std::string_view bucket, double per_minute, double amount, double least, TimePoint now) = 0;
};

// Buckets of this process. Their names come from the configuration, so there are few.
class ProcessRateStore final : public RateStore {
 public:
  RateLevel take(std::string_view bucket, double per_minute, double amount, double least, TimePoint now) override;

 private:
  struct Bucket {
    double level = 0;
    TimePoint at;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace qwen
