#include "server/cache/cache_options.h"

#include "server/service_config.h"

namespace qwen {

bool cache_enabled(const ServiceConfig& config) { return config.cache_enable.value_or(!config.redis_url.empty()); }

CacheOptions response_cache_options(const ServiceConfig& config) {
  CacheOptions options;
  options.memory = {.bytes = config.cache_max_bytes,
                    .entries = static_cast<size_t>(config.cache_max_entries),
                    .ttl = config.cache_ttl};
  if (config.redis_url.empty()) return options;
  options.redis = parse_redis_url(config.redis_url);
  if (!config.redis_password.empty()) options.redis->password = config.redis_password;
  options.redis->budget = std::chrono::milliseconds(config.redis_timeout_ms);
  return options;
}

}  // namespace qwen
