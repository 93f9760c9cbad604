// A whole answer, and how its first lines are written. No client text ever becomes a header value.
#pragma once

#include <string>
#include <string_view>

#include "server/http/headers.h"

namespace qwen {

// What the server was short of where it answers 503 server_overloaded.
enum class Shortage { kNone, kQueue, kConnections, kMemory };

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;   // besides the ones that the connection adds
  std::string code;  // the error's code, for logs; empty on success
  Shortage shortage = Shortage::kNone;
};

std::string_view reason_phrase(int status);

// How a response is framed: what the connection adds to a Response.
struct Framing {
  int minor_version = 1;
  bool keep_alive = true;
  bool chunked = false;  // else Content-Length: body_size, or neither where the end of the connection ends the body
  bool until_close = false;
  size_t body_size = 0;
  std::string_view request_id;
  int hsts_max_age = 0;  // seconds, RFC 6797; 0 = not said
};

// Status line and fields with the empty line. Fields with a control character in name or value are left out.
std::string serialize_head(const Response& response, const Framing& framing);

std::string http_date();  // now, as in RFC 9110

}  // namespace qwen
