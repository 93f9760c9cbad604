// A request as handlers see it. The head is a copy made before the body was read: trailers cannot change it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/http/headers.h"

namespace qwen {

struct RequestHead {
  std::string method;
  std::string path;   // percent-decoded once, valid UTF-8, without dot segments; routing and authorization look at this
                      // and nothing else
  std::string query;  // as sent, without '?'
  int minor_version = 1;
  Headers headers;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expect_continue = false;

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

class TokenAccount;

struct Request {
  RequestHead head;
  std::string body;
  std::string path_tail;   // what the route's '*' matched
  std::string request_id;  // the caller's where valid, else ours
  std::string client;      // address
  std::chrono::steady_clock::time_point arrived;
  std::shared_ptr<void> body_reservation;       // of the body in ByteBudget, given back with the request
  std::string key_name;                         // see AccessControl::Verdict
  bool admin = false;                           //
  std::shared_ptr<const TokenAccount> account;  // that its tokens are charged to; may be null
};

}  // namespace qwen
