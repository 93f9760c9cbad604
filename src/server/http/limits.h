// Every bound on what a client may send or hold, in one place. Past a bound the answer is fixed (docs: 431, 414, 413,
// 408, close).
#pragma once

#include <chrono>
#include <cstddef>

namespace qwen {

struct HttpLimits {
  size_t max_header_bytes = 16 * 1024;                 // request line and fields; 431
  size_t max_header_fields = 100;                      // 431
  size_t max_target_bytes = 4 * 1024;                  // 414
  size_t max_body_bytes = 4 * 1024 * 1024;             // 413
  size_t small_body_bytes = 64 * 1024;                 // of each body; counts for nothing in the next one
  size_t max_buffered_body_bytes = 256 * 1024 * 1024;  // of all bodies read, waiting or not yet taken; 503
  size_t max_unparsed_bytes = 64 * 1024;               // pipelined input or chunk framing held back; close
  size_t max_stream_buffer = 256 * 1024;               // output that a slow reader leaves unread; its stream is aborted
  int max_connections = 4096;                          // past it the one idle longest is closed, or 503
  int max_connections_per_client = 256;                // by address; loopback (a proxy on this host) is exempt

  std::chrono::milliseconds header_timeout{10'000};       // 408
  std::chrono::milliseconds body_timeout{30'000};         // 408
  std::chrono::milliseconds idle_timeout{75'000};         // between requests; silent close
  std::chrono::milliseconds write_stall_timeout{30'000};  // client accepts next to nothing; abort
  std::chrono::milliseconds linger_timeout{1'000};        // wait for the client's FIN after our last byte
  std::chrono::milliseconds drain_first_request{1'000};   // for the request of a new connection when the server stops
  std::chrono::milliseconds eviction_age{1'000};          // without a request, after which a connection may be closed
                                                          // for another
  std::chrono::milliseconds heartbeat{15'000};            // silence on a stream after which a comment is sent
};

}  // namespace qwen
