// The buckets of all rates, by name. Behind an interface: processes that share a port keep them where all see them.
// A rate that changes begins with a full bucket: neither an old debt nor an old plenty is the new rate's.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "server/access/rate_bucket.h"

namespace qwen {

class RateStore {
 public:
  using TimePoint = RateBucket::TimePoint;

  virtual ~RateStore() = default;

  // Takes `amount` from the bucket where it holds at least `least`, else nothing. `per_minute` > 0. Any thread; does
  // not wait.
  virtual RateLevel take(std::string_view bucket, double per_minute, double amount, double least, TimePoint now) = 0;
};

// Whose bucket it is: of the name and the rate. Never 0.
uint64_t rate_bucket_id(std::string_view name, double per_minute);

// Buckets of this process. Their names come from the configuration, so there are few.
class ProcessRateStore final : public RateStore {
 public:
  RateLevel take(std::string_view bucket, double per_minute, double amount, double least, TimePoint now) override;

 private:
  std::mutex mutex_;
  std::unordered_map<uint64_t, RateBucket> buckets_;
};

}  // namespace qwen
