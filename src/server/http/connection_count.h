// How many connections there are, in total and by client address; both are bounded. An IPv6 client is its /64: every
// host has 2^64 addresses there.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "server/http/limits.h"

namespace qwen {

class ConnectionCount {
 public:
  enum class Place { kFree, kClientFull, kFull };
  // kFree: release() must follow. kClientFull, kFull: the client, or all together, are at their bound. Loopback
  // addresses (a proxy on this host) are bounded by the total alone.
  Place acquire(const std::string& client, const HttpLimits& limits);
  void release(const std::string& client);
  int open() const { return open_.load(); }
  // Keeps `copy`, which must outlive this, equal to open(). To be said before the first acquire().
  void mirror(std::atomic<int>& copy) { copy_ = &copy; }

 private:
  std::atomic<int> open_{0};
  std::atomic<int>* copy_ = nullptr;
  std::mutex mutex_;
  std::unordered_map<std::string, int> by_client_;
};

}  // namespace qwen
