#include "server/handlers/handler_context.h"

#include "base/log.h"
#include "server/api/errors.h"
#include "server/api/request_json.h"

namespace qwen {
namespace {

void answer_error(const ResponderPtr& responder, std::exception_ptr error, const std::string& request_id) {
  responder->send(error_response(to_api_error(std::move(error), request_id)));
}

// Asked for by logging.prompts: no other line of a log has anything of a request's body.
void log_prompt(const Request& request) {
  constexpr size_t kMaxBytes = 16 * 1024;
  const std::string_view body = request.body;
  const bool cut = body.size() > kMaxBytes;
  log_info("request ", request.request_id, " asks ", request.head.path, ": ", body.substr(0, kMaxBytes),
           cut ? str(" (cut, ", body.size(), " bytes)") : "");
}

}  // namespace

void run_on_worker(const HandlerContext& context, Request request, ResponderPtr responder,
                   std::function<void(Request&, const ResponderPtr&)> work) {
  if (context.config.log_prompts) log_prompt(request);
  // More than that takes milliseconds to parse and tokenize.
  const bool large = request.body.size() > context.config.http.small_body_bytes;
  const auto shared = std::make_shared<Request>(std::move(request));
  auto task = [shared, responder, timeout = context.config.request_timeout, work = std::move(work)] {
    if (responder->client_gone()) return;
    try {
      if (std::chrono::steady_clock::now() >= shared->arrived + timeout)
        throw Error(ErrorCode::kDeadlineExceeded, "the deadline passed while the request waited for a thread");
      work(*shared, responder);
    } catch (...) {
      answer_error(responder, std::current_exception(), shared->request_id);
    }
  };
  auto dropped = [shared, responder] {
    const Error draining(ErrorCode::kDraining, "the service is shutting down");
    answer_error(responder, std::make_exception_ptr(draining), shared->request_id);
  };
  if (!context.workers.submit(std::move(task), large ? WorkerPool::Size::kLarge : WorkerPool::Size::kSmall,
                              std::move(dropped)))
    throw Error(ErrorCode::kOverloaded, "too many requests are waiting; try again later");
}

Handler answer_on_worker(const HandlerContext& context, BodyAnswer answer) {
  return [&context, answer](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder),
                  [&context, answer](Request& in, const ResponderPtr& out) {
                    const auto model = context.service.ready_model();
                    out->send({.body = answer(parse_request(in.body), *model)});
                  });
  };
}

}  // namespace qwen
