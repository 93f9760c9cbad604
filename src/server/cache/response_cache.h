// The response cache: answers that were computed before, of this process and, where there is one, of a Redis that
// several share; and answers that are computed at this moment, which equal requests read together. It knows tokens
// only; text, routes and formats are made above it as they are from the engine's. Nothing that goes wrong in it fails a
// request: that is computed as if there were no cache.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/cache/cache_options.h"
#include "server/cache/cache_use.h"
#include "server/cache/flight_table.h"
#include "server/cache/memory_store.h"
#include "server/token_source.h"

namespace qwen {

class RedisStore;
struct Metrics;

// A request as the cache sees it.
struct CacheAsk {
  std::string key;
  bool look_up = true, store = true;
  uint64_t seed = 0;
  bool seed_chosen = true;  // false: any draw will do
  Flight::Deadline deadline;
  int prompt_tokens = 0;
  int vocab_size = 0;
  ComputeTokens compute;
  std::function<void()> on_events;           // as in GenerationRequest, or from the thread that reads
  std::shared_ptr<LookUpTime> look_up_time;  // null: this look-up has the whole budget
};

struct CacheAnswer {
  std::unique_ptr<TokenSource> tokens;
  CacheResult result = CacheResult::kMiss;
};

class ResponseCache : public std::enable_shared_from_this<ResponseCache> {
 public:
  ResponseCache(const CacheOptions& options, std::shared_ptr<const Metrics> metrics);
  ~ResponseCache();

  // May wait for Redis: all that share a LookUpTime together for RedisOptions::budget at most. Errors: those of
  // `compute`.
  CacheAnswer start(CacheAsk ask);
  void count_bypass() const;  // a request that is none of the cache's

  struct Stats {
    MemoryStore::Stats memory;
    bool breaker_open = false;
  };
  Stats stats() const;
  void stop();  // Redis is let go; bounded in time. Requests may still come.

 private:
  friend class FlightSource;

  CachedAnswerPtr look_up_redis(const CacheAsk& ask, bool& failed);
  void store(const std::string& key, CachedAnswerPtr answer);
  // Joins, finds or begins the computation; `seed`, where given, must be the flight's.
  FlightTable::Entered enter(const CacheAsk& ask, const Flight::OnEvents& reader, std::optional<uint64_t> seed);

  const std::shared_ptr<const Metrics> metrics_;
  MemoryStore memory_;
  FlightTable flights_;
  std::unique_ptr<RedisStore> redis_;  // null: there is none
};

}  // namespace qwen
