#include "server/access/rate_table.h"

#include "base/log.h"

namespace qwen {
namespace {

constexpr size_t kTries = 128;  // places in a row that a bucket may have

}  // namespace

RateBucket* RateTable::find(uint64_t id, RateBucket::TimePoint now) {
  // A place is never nobody's again, so all who look for one name meet at the first that was free.
  for (size_t i = 0; i < kTries; ++i) {
    Place& place = places_[(id + i) % kPlaces];
    uint64_t owner = place.id.load(std::memory_order_relaxed);
    if (owner == id || (owner == 0 && place.id.compare_exchange_strong(owner, id)) || owner == id) return &place.bucket;
  }
  // What its owner takes from a full bucket at this very moment counts for the next one: one request at the most.
  for (size_t i = 0; i < kTries; ++i) {
    Place& place = places_[(id + i) % kPlaces];
    uint64_t owner = place.id.load(std::memory_order_relaxed);
    if (owner == id || (place.bucket.full(now) && place.id.compare_exchange_strong(owner, id)) || owner == id)
      return &place.bucket;
  }
  return nullptr;
}

RateLevel SharedRateStore::take(std::string_view name, double per_minute, double amount, double least, TimePoint now) {
  if (RateBucket* const bucket = table_->find(rate_bucket_id(name, per_minute), now))
    return bucket->take(per_minute, amount, least, now);
  if (!told_.exchange(true))
    log_warning("the table of rates (", RateTable::kPlaces,
                " in use) is full: others hold for each worker process alone");
  return own_.take(name, per_minute, amount, least, now);
}

}  // namespace qwen
