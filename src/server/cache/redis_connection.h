// One connection to a Redis: a command, its reply, one after the other, each with a deadline. The peer is not trusted:
// a reply that is too long, or not of the protocol, ends the connection. Used by one thread; stop() may come from any.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "server/cache/redis_address.h"
#include "server/cache/redis_protocol.h"

namespace qwen {

// The host's name is not known.
class RedisAbsent : public RedisFailure {
 public:
  using RedisFailure::RedisFailure;
};

class RedisConnection {
 public:
  using Clock = std::chrono::steady_clock;

  RedisConnection();  // not connected
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // Connects, logs in, selects the database, all until `deadline` but for the look-up of the name. Errors:
  // RedisFailure.
  void connect(const RedisOptions& options, Clock::time_point deadline);
  bool connected() const;
  void disconnect();

  // An error of the peer's is a reply. Errors: RedisFailure, after which it is not connected.
  RedisReply command(std::initializer_list<std::string_view> words, Clock::time_point deadline);

  void stop();  // ends what is under way with a failure, and all that follows

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qwen
