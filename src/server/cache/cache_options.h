// How the response cache is set up.
#pragma once

#include <optional>

#include "server/cache/memory_store.h"
#include "server/cache/redis_address.h"

namespace qwen {

struct ServiceConfig;

struct CacheOptions {
  MemoryStore::Limits memory;
  std::optional<RedisOptions> redis;
};

// Whether there is a cache: where nothing is said, one that a Redis was named for.
bool cache_enabled(const ServiceConfig& config);
CacheOptions response_cache_options(const ServiceConfig& config);

}  // namespace qwen
