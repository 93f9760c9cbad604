#include "commands/service_end.h"

#include <csignal>

#include "base/log.h"
#include "commands/format_number.h"

namespace qwen {

ServiceEnd::ServiceEnd(HttpServer& server, int signal, std::chrono::seconds drain_timeout)
    : server_(server), before_(server.figures()) {
  log_info(signal == SIGINT ? "SIGINT" : "SIGTERM", ": draining: ", before_.running + before_.waiting,
           " running requests may finish within ", drain_timeout.count(), " s");
}

void ServiceEnd::say() const {
  const ServiceFigures now = server_.figures();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  log_info("the service has ended after ", fixed(seconds, 1), " s: ", now.successful - before_.successful,
           " requests were finished, ", now.cut - before_.cut, " were cut");
}

}  // namespace qwen
