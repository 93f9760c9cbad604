#include "server/http/connection_count.h"

#include <arpa/inet.h>

namespace qwen {
namespace {

bool is_loopback(const std::string& client) {
  return client == "::1" || client.rfind("127.", 0) == 0 || client.rfind("::ffff:127.", 0) == 0;
}

std::string client_key(const std::string& client) {
  in6_addr address{};
  if (client.rfind("::ffff:", 0) == 0 || ::inet_pton(AF_INET6, client.c_str(), &address) != 1) return client;
  return {reinterpret_cast<const char*>(&address), 8};
}

}  // namespace

ConnectionCount::Place ConnectionCount::acquire(const std::string& client, const HttpLimits& limits) {
  const std::string key = client_key(client);
  const std::lock_guard lock(mutex_);
  if (open_ >= limits.max_connections) return Place::kFull;
  int& own = by_client_[key];
  if (!is_loopback(client) && own >= limits.max_connections_per_client) return Place::kClientFull;
  ++own;
  ++open_;
  if (copy_ != nullptr) copy_->store(open_);
  return Place::kFree;
}

void ConnectionCount::release(const std::string& client) {
  const std::string key = client_key(client);
  const std::lock_guard lock(mutex_);
  --open_;
  if (copy_ != nullptr) copy_->store(open_);
  const auto own = by_client_.find(key);
  if (own != by_client_.end() && --own->second == 0) by_client_.erase(own);
}

}  // namespace qwen
