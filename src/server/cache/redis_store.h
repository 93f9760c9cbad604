// Answers in a Redis that several processes share. One thread of its own talks to it, so that nobody else ever waits
// for a socket: a look-up waits for that thread, for its budget at most, and a store is put into a bounded queue.
// Invariant: whatever Redis does - slow, down, full, wrong - costs a request, with all its prompts and answers, no more
// than the budget, and after five failures in a row, or where no connection is to be had, nothing at all, until the
// thread has seen it answer in time again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "server/cache/cache_use.h"
#include "server/cache/cached_answer.h"
#include "server/cache/redis_address.h"

namespace qwen {

class RedisStore {
 public:
  struct Reply {
    std::optional<std::string> value;
    bool failed = false;  // it was asked and gave no answer; false also where it was not asked
  };

  RedisStore(const RedisOptions& options, std::chrono::seconds ttl);
  ~RedisStore();  // stop()
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;

  // Waits for what `time` leaves of the budget, and adds to it. Not asked where nothing is left.
  Reply get(const std::string& key, LookUpTime& time);
  void put(const std::string& key, CachedAnswerPtr answer);  // dropped where the queue is full or Redis away
  void erase(const std::string& key);                        // likewise
  bool breaker_open() const;
  void stop();  // within half a second; what is queued is dropped

 private:
  struct State;
  std::shared_ptr<State> state_;  // the thread's too, which may be left alone with a name that is looked up
  std::thread thread_;
};

}  // namespace qwen
