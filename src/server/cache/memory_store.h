// Answers in this process: least recently used ones go first where bytes or entries would pass their bounds, each is
// forgotten after its time. Thread-safe; every call is short.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/cache/cached_answer.h"

namespace qwen {

class MemoryStore {
 public:
  using Clock = std::chrono::steady_clock;
  struct Limits {
    size_t bytes = 0, entries = 0;
    std::chrono::seconds ttl{0};
  };
  struct Stats {
    size_t bytes = 0, entries = 0;
    uint64_t evictions = 0;  // for want of room; not those whose time was over
  };

  explicit MemoryStore(const Limits& limits) : limits_(limits) {}

  CachedAnswerPtr get(const std::string& key, Clock::time_point now = Clock::now());  // null where there is none
  // Takes the place of an older answer. One that alone passes the bound is not taken.
  void put(const std::string& key, CachedAnswerPtr answer, Clock::time_point now = Clock::now());
  Stats stats() const;

 private:
  struct Entry {
    std::string key;
    CachedAnswerPtr answer;
    Clock::time_point expires;
  };
  using Entries = std::list<Entry>;  // the one used last first

  static size_t cost(const Entry& entry);
  void erase(Entries::iterator entry);

  const Limits limits_;
  mutable std::mutex mutex_;  // guards what follows
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // keys are the entries' own
  Stats stats_;
};

}  // namespace qwen
