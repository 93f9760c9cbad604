#include "server/access/rate_store.h"

#include <bit>

#include "base/hash.h"

namespace qwen {

uint64_t rate_bucket_id(std::string_view name, double per_minute) {
  const uint64_t digest = xxh64(name, std::bit_cast<uint64_t>(per_minute));
  return digest != 0 ? digest : 1;
}

RateLevel ProcessRateStore::take(std::string_view name, double per_minute, double amount, double least, TimePoint now) {
  const std::lock_guard lock(mutex_);
  return buckets_[rate_bucket_id(name, per_minute)].take(per_minute, amount, least, now);
}

}  // namespace qwen
