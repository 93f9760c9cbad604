// The log's two lines about the end of a service: why, and what became of the requests that ran.
#pragma once

#include <chrono>

#include "server/server.h"

namespace qwen {

class ServiceEnd {
 public:
  // Says that the service drains. `server` must outlive it.
  ServiceEnd(HttpServer& server, int signal, std::chrono::seconds drain_timeout);
  void say() const;  // once all has ended: what was finished since, and what was cut

 private:
  HttpServer& server_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const ServiceFigures before_;
};

}  // namespace qwen
