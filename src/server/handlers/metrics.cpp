// GET /metrics: answered on the I/O thread itself, also while the model loads or everything else is busy.
#include "server/handlers/handlers.h"
#include "server/service_monitor.h"

namespace qwen {

Handler metrics_handler(ServiceMonitor& monitor) {
  return [&monitor](Request, ResponderPtr responder) {
    Response response{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = monitor.scrape()};
    response.headers.push_back({"Cache-Control", "no-store"});
    responder->send(std::move(response));
  };
}

}  // namespace qwen
