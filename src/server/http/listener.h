// Accepts connections and hands each to one of the I/O loops in turn. Where all places or descriptors are taken, the
// connections that have been without a request longest are closed for it; where none has, it answers 503 (places) or
// pauses (descriptors) instead of spinning.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/http/connection.h"
#include "server/http/io_loop.h"
#include "server/http/port_sharing.h"

namespace qwen {

class Listener {
 public:
  // Binds at once. `host` is an address or a name; port 0 takes a free one. Errors: kOs naming address and port.
  Listener(std::vector<std::shared_ptr<IoLoop>> loops, std::shared_ptr<ConnectionContext> context,
           const std::string& host, int port, PortSharing sharing = {});
  ~Listener();  // stop(); before the loops are stopped

  void start();   // accepts from here on, on the first loop. Errors: kOs, of a port that opens late
  void finish();  // takes who has connected until now, then closes the port; any thread
  void stop();    // closes the port; any thread; connections stay
  bool closed() const;
  int port() const;
  int socket() const;  // to be inherited

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace qwen
