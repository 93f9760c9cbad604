// Whom the tokens of a request are counted for. They are known only as they are computed, so they are charged
// afterwards; a key that has overdrawn its rate waits at its next request.
#pragma once

#include <limits>
#include <memory>
#include <string>

#include "server/access/rate_store.h"

namespace qwen {

class TokenAccount {
 public:
  TokenAccount(std::shared_ptr<RateStore> store, std::string bucket, double per_minute)
      : store_(std::move(store)), bucket_(std::move(bucket)), per_minute_(per_minute) {}

  void charge(int64_t tokens) const {
    if (tokens > 0)
      store_->take(bucket_, per_minute_, static_cast<double>(tokens), std::numeric_limits<double>::lowest(),
                   std::chrono::steady_clock::now());
  }
  RateLevel level(RateStore::TimePoint now) const { return store_->take(bucket_, per_minute_, 0, 1, now); }
  double per_minute() const { return per_minute_; }

 private:
  const std::shared_ptr<RateStore> store_;
  const std::string bucket_;
  const double per_minute_;
};

}  // namespace qwen
