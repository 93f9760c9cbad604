// Buckets in memory that processes share: a rate holds for all of them together, and for a process that is started
// again what was used before.
// Invariant: places are taken and changed by single atomic operations, so nobody waits for anybody, dead or alive. A
// bucket keeps its place until it is full again, which is as good as none; only then, and only where there is no other
// place, another bucket gets it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "server/access/rate_store.h"

namespace qwen {

class RateTable {
 public:
  static constexpr size_t kPlaces = size_t{1} << 14;  // 256 KiB

  // Null: there is no place.
  RateBucket* find(uint64_t id, RateBucket::TimePoint now);

 private:
  struct Place {
    std::atomic<uint64_t> id{0};  // 0: nobody's
    RateBucket bucket;
  };
  std::array<Place, kPlaces> places_;
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);

// What finds no place in the table is counted by each process for itself, and a log line says so.
class SharedRateStore final : public RateStore {
 public:
  explicit SharedRateStore(std::shared_ptr<RateTable> table) : table_(std::move(table)) {}
  RateLevel take(std::string_view bucket, double per_minute, double amount, double least, TimePoint now) override;

 private:
  const std::shared_ptr<RateTable> table_;
  ProcessRateStore own_;
  std::atomic<bool> told_{false};
};

}  // namespace qwen
