// GET /stats: the same figures as /metrics for people, in the deployment guide's words; answered on the I/O thread.
#include "server/handlers/handlers.h"
#include "server/service_monitor.h"

namespace qwen {

Handler stats_handler(ServiceMonitor& monitor) {
  return [&monitor](Request, ResponderPtr responder) {
    Response response{.body = monitor.stats_json()};
    response.headers.push_back({"Cache-Control", "no-store"});
    responder->send(std::move(response));
  };
}

}  // namespace qwen
