// One client connection, from accept to close: reads requests one after the other, hands each to its route's handler,
// and writes what the handler answers. A read stays outstanding while an answer is computed, so a client that goes away
// is seen at once.
//
//   idle ─bytes─▶ head ─guard, route─▶ body ─complete─▶ handling ─answer written─▶ idle | lingering ─▶ closed
//
// Under TLS a handshake comes first. Everything happens on the connection's IoLoop thread. What it holds is bounded:
// input by HttpLimits::max_unparsed_bytes beyond the current request, output of a stream by max_stream_buffer; every
// state has a deadline, except waiting for the handler.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "server/access/access_control.h"
#include "server/access/cors.h"
#include "server/access/trusted_proxies.h"
#include "server/http/byte_budget.h"
#include "server/http/connection_count.h"
#include "server/http/io_loop.h"
#include "server/http/limits.h"
#include "server/http/routes.h"
#include "server/http/tls_context.h"

namespace qwen {

// One line of the access log; also written for refused and aborted requests.
struct AccessRecord {
  std::string method = "-", path = "-";  // "-" where no request could be read; path is the route's pattern
  std::string request_id, client;
  std::string key_name;              // of the API key; empty where none was asked for, or it was none
  Traffic traffic = Traffic::kPage;  // kPage where there is no route
  int status = 0;                    // kClientGone; where the server gave up, the error that it would have told
  std::string code;                  // of an error, also of one told in mid-stream; kSlowClient, kWriteStall
  Shortage shortage = Shortage::kNone;
  double seconds = 0;
  size_t bytes_out = 0;
  TokenCount tokens;
};

// The status of a request whose client left before the answer was complete, or did not take it.
inline constexpr int kClientGone = 499;

// Codes of a client that did not take its answer: unread output passed its bound, no byte was taken for too long.
inline constexpr std::string_view kSlowClient = "slow_client", kWriteStall = "write_stall";

// What all connections of a server share; outlives them.
struct ConnectionContext {
  HttpLimits limits;
  RouteTable routes;
  std::shared_ptr<const AccessControl> access;  // null: everybody may call everything
  Cors cors;
  TrustedProxies proxies;
  std::shared_ptr<const TlsContext> tls;  // null: plain HTTP
  int hsts_max_age = 0;                   // seconds, with TLS alone; 0 = Strict-Transport-Security is not sent
  bool keeps_alive = true;                // false: each answer ends its connection
  std::function<void(const AccessRecord&)> on_request;  // from I/O threads; may be empty
  ConnectionCount count;
  ByteBudget bodies;  // of requests that are read or wait to be parsed, of answers that wait for their readers
  std::atomic<int> streams_open{0};
  std::atomic<uint64_t> failed_handshakes{0};
  std::atomic<bool> draining{false};
};

// Serves an accepted, non-blocking socket, which it owns from here on, and gives its place in the count back at the
// end. Called on the loop's thread.
void serve_connection(std::shared_ptr<IoLoop> loop, int socket, bool ipv6, std::string client,
                      std::shared_ptr<ConnectionContext> context);

}  // namespace qwen
