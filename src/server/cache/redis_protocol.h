// Redis' protocol: a command as bytes, and one reply to it from whatever the peer sends. hiredis does both; here are
// the bounds: a reply has a largest size, is no list, and nothing follows it.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace qwen {

struct RedisReply {
  enum class Kind { kText, kNil, kInteger, kStatus, kError };
  Kind kind = Kind::kNil;
  std::string text;  // of kText, kStatus, kError
};

// The connection is of no more use; the message says why in our own words.
class RedisFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::string redis_command(std::initializer_list<std::string_view> words);

class RedisReplyReader {
 public:
  RedisReplyReader();
  ~RedisReplyReader();

  // The reply, once it is whole. Errors: RedisFailure, after which the reader is of no more use.
  std::optional<RedisReply> feed(std::string_view bytes);
  void expect_next();  // another command was sent

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qwen
