#include "server/handlers/handler_context.h"

#include "server/api/errors.h"

namespace qwen {

void run_on_worker(const HandlerContext& context, Request request, ResponderPtr responder,
                   std::function<void(Request&, const ResponderPtr&)> work) {
  const auto shared = std::make_shared<Request>(std::move(request));
  const bool accepted = context.workers.submit([shared, responder, work = std::move(work)] {
    if (responder->client_gone()) return;
    try {
      work(*shared, responder);
    } catch (...) {
      responder->send(error_response(to_api_error(std::current_exception(), shared->request_id)));
    }
  });
  if (!accepted) throw Error(ErrorCode::kOverloaded, "too many requests are waiting; try again later");
}

}  // namespace qwen
