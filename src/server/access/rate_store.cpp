#include "server/access/rate_store.h"

#include <algorithm>

namespace qwen {

RateLevel ProcessRateStore::take(std::string_view name, double per_minute, double amount, double least, TimePoint now) {
  const double per_second = per_minute / 60;
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = buckets_.try_emplace(std::string(name), Bucket{per_minute, now});
  Bucket& bucket = entry->second;
  const double passed = std::max(0.0, std::chrono::duration<double>(now - bucket.at).count());
  bucket.level = std::min(per_minute, bucket.level + passed * per_second);
  bucket.at = std::max(bucket.at, now);
  RateLevel level;
  level.enough = bucket.level >= least;
  if (level.enough)
    bucket.level -= amount;
  else
    level.wait = (least - bucket.level) / per_second;
  level.left = bucket.level;
  level.to_full = (per_minute - bucket.level) / per_second;
  return level;
}

}  // namespace qwen
