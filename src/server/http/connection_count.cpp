#include "server/http/connection_count.h"

namespace qwen {

bool ConnectionCount::acquire(const std::string& client, const HttpLimits& limits) {
  const std::lock_guard lock(mutex_);
  const bool loopback = client == "::1" || client.rfind("127.", 0) == 0 || client.rfind("::ffff:127.", 0) == 0;
  if (open_ >= limits.max_connections) return false;
  int& own = by_client_[client];
  if (!loopback && own >= limits.max_connections_per_client) return false;
  ++own;
  ++open_;
  return true;
}

void ConnectionCount::release(const std::string& client) {
  const std::lock_guard lock(mutex_);
  --open_;
  const auto own = by_client_.find(client);
  if (own != by_client_.end() && --own->second == 0) by_client_.erase(own);
}

}  // namespace qwen
