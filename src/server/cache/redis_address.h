// Where a Redis is and as whom it is asked, as a URL says it:
//   redis://[[user]:password@]host[:port][/database]    unix://[[user]:password@]/path/of/socket[?db=database]
// User and password are percent-encoded.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace qwen {

struct RedisOptions {
  std::string host;  // a name or an address; empty where there is a socket
  int port = 6379;
  std::string socket_path;
  std::string user, password;  // empty: none
  int database = 0;
  std::chrono::milliseconds budget{20};  // that look-ups may take of a request's time, all together
};

// Errors: kConfig, whose message never holds the password.
RedisOptions parse_redis_url(std::string_view url);

// For people: the password as ****.
std::string masked_redis_url(std::string_view url);
// "redis:6379", "/run/redis.sock"
std::string redis_place(const RedisOptions& options);

}  // namespace qwen
