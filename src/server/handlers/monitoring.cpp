// GET /metrics and GET /stats: answered on the I/O thread itself, also while the model loads or everything else is
// busy.
#include "server/handlers/handlers.h"
#include "server/service_monitor.h"

namespace qwen {
namespace {

Response fresh(std::string content_type, std::string body) {
  Response response{.content_type = std::move(content_type), .body = std::move(body)};
  response.headers.push_back({"Cache-Control", "no-store"});
  return response;
}

}  // namespace

Handler metrics_handler(ServiceMonitor& monitor) {
  return [&monitor](Request, ResponderPtr responder) {
    responder->send(fresh("text/plain; version=0.0.4; charset=utf-8", monitor.scrape()));
  };
}

Handler stats_handler(ServiceMonitor& monitor) {
  return
      [&monitor](Request, ResponderPtr responder) { responder->send(fresh("application/json", monitor.stats_json())); };
}

}  // namespace qwen
