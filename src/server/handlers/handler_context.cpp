#include "server/handlers/handler_context.h"

#include "server/api/errors.h"

namespace qwen {
namespace {

constexpr size_t kLargeBody = 64 * 1024;  // takes milliseconds to parse and tokenize

}  // namespace

void run_on_worker(const HandlerContext& context, Request request, ResponderPtr responder,
                   std::function<void(Request&, const ResponderPtr&)> work) {
  const auto size = request.body.size() > kLargeBody ? WorkerPool::Size::kLarge : WorkerPool::Size::kSmall;
  const auto shared = std::make_shared<Request>(std::move(request));
  auto task = [shared, responder, work = std::move(work)] {
    if (responder->client_gone()) return;
    try {
      work(*shared, responder);
    } catch (...) {
      responder->send(error_response(to_api_error(std::current_exception(), shared->request_id)));
    }
  };
  if (!context.workers.submit(std::move(task), size))
    throw Error(ErrorCode::kOverloaded, "too many requests are waiting; try again later");
}

}  // namespace qwen
