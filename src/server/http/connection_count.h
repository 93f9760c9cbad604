// How many connections there are, in total and by client address; both are bounded.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>

#include "server/http/limits.h"

namespace qwen {

class ConnectionCount {
 public:
  // False where the address or the total is at its bound; otherwise release() must follow. Loopback addresses (a proxy
  // on this host) are bounded by the total alone.
  bool acquire(const std::string& client, const HttpLimits& limits);
  void release(const std::string& client);
  int open() const { return open_.load(); }

 private:
  std::atomic<int> open_{0};
  std::mutex mutex_;
  std::unordered_map<std::string, int> by_client_;
};

}  // namespace qwen
