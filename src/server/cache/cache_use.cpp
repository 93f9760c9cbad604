#include "server/cache/cache_use.h"

#include <algorithm>

#include "base/hash.h"
#include "server/cache/cache_options.h"
#include "server/http/request.h"
#include "server/service_config.h"

namespace qwen {
namespace {

// Calls `take` with each directive of a Cache-Control field, RFC 9111 5.2.1.
template <typename Take>
void for_each_directive(std::string_view field, const Take& take) {
  while (!field.empty()) {
    const size_t end = std::min(field.find(','), field.size());
    take(trim_spaces(field.substr(0, end)));
    field.remove_prefix(std::min(end + 1, field.size()));
  }
}

void apply_cache_control(const Headers& headers, CacheUse& use) {
  for (const Header& header : headers) {
    if (!iequals(header.name, "Cache-Control")) continue;
    for_each_directive(header.value, [&](std::string_view directive) {
      if (iequals(directive, "no-store")) use.look_up = use.store = false;
      if (iequals(directive, "no-cache") || iequals(directive, "max-age=0")) use.look_up = false;
    });
  }
}

// The credential itself, so that it holds whatever names keys have, and only its digest, so that nobody reads it in a
// key of the cache.
std::string credential_digest(const Headers& headers) {
  std::string credentials;
  for (const Header& header : headers)
    if (iequals(header.name, "Authorization") || iequals(header.name, "X-API-Key"))
      credentials.append(header.value).push_back('\n');
  return credentials.empty() ? credentials : sha256_hex(credentials);
}

}  // namespace

CacheUse cache_use(const Request& request, bool seed_given, const ServiceConfig& config) {
  CacheUse use;
  use.enabled = cache_enabled(config);
  if (!use.enabled) return use;
  use.seed_given = seed_given;
  use.random_too = config.cache_random;
  if (!config.cache_shared) use.salt = credential_digest(request.head.headers);
  apply_cache_control(request.head.headers, use);
  return use;
}

std::string_view cache_result_name(CacheResult result) {
  switch (result) {
    case CacheResult::kOff:
      break;
    case CacheResult::kBypass:
      return "BYPASS";
    case CacheResult::kMiss:
      return "MISS";
    case CacheResult::kHit:
    case CacheResult::kJoined:
      return "HIT";
  }
  return {};
}

}  // namespace qwen
