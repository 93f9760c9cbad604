// GET /requests/{id}, POST /requests/{id}/cancel, POST /requests/{id}/finish_thinking: how far a request is that runs,
// and a word on it while it does. {id} is what its X-Request-Id says. Answered when those have spoken who may know it;
// nothing waits. Whoever may not know of a request is told what he is told where there is none.
#include "base/log.h"
#include "server/api/errors.h"
#include "server/api/json_writer.h"
#include "server/control/running_requests.h"
#include "server/handlers/handlers.h"
#include "server/http/request_id.h"
#include "server/http/worker_messenger.h"

namespace qwen {
namespace {

ApiError not_here() {
  return {.status = 404,
          .code = "request_not_here",
          .message = "no request with this id runs here: it may have ended, or run on another replica"};
}

ApiError again(std::string code, std::string message) {
  return {.status = 503, .code = std::move(code), .message = std::move(message), .retry_after_seconds = 1};
}

std::optional<ApiError> problem(ControlAction action, const ControlOutcome& outcome) {
  if (outcome.affected > 0 || (action == ControlAction::kTell && outcome.requests > 0)) return std::nullopt;
  if (outcome.silent > 0 && outcome.generations() == 0)
    return again("worker_unreachable", "a worker process did not say in time whether it has this request; try again");
  if (outcome.requests == 0) return not_here();
  if (outcome.beginning > 0)
    return again("request_not_begun", "the request has only just come, and its prompt is still being read; try again");
  if (outcome.shared > 0)
    return ApiError{.status = 409,
                    .code = "thought_shared",
                    .message =
                        "an equal request reads the same thought, which is finished once all have asked for it; "
                        "cancel ends this request alone"};
  return ApiError{.status = 409, .code = "no_thought", .message = "this request has no thought under way"};
}

std::string_view state_name(const ControlOutcome& outcome) {
  return outcome.thinking > 0 ? "thinking" : outcome.answering > 0 ? "answering" : "queued";
}

std::string outcome_json(const ControlRequest& asked, const ControlOutcome& outcome) {
  JsonWriter json;
  json.begin_object().field("id", asked.id);
  switch (asked.action) {
    case ControlAction::kTell:
      json.field("state", state_name(outcome)).field("generations", outcome.generations());
      break;
    case ControlAction::kFinishThought:
      json.field("thoughts_finished", outcome.affected);
      break;
    case ControlAction::kCancel:
      json.field("generations_cancelled", outcome.affected);
      break;
  }
  json.field("completion_tokens", outcome.completion_tokens).field("reasoning_tokens", outcome.reasoning_tokens);
  return json.end_object().take();
}

// Whose word it was: the access log has the id of the word, not of the request that it was about.
void log_done(const ControlRequest& asked) {
  log_info("request ", asked.id, asked.action == ControlAction::kCancel ? ": cancelled" : ": thought finished",
           asked.key_name.empty() ? "" : " by key ", asked.key_name);
}

Handler control_handler(const HandlerContext& context, ControlAction action) {
  return [&context, action](Request request, ResponderPtr responder) {
    ControlRequest asked{.action = action,
                         .id = std::move(request.path_tail),
                         .key_name = std::move(request.key_name),
                         .admin = request.admin};
    if (!valid_request_id(asked.id)) return responder->send(error_response(not_here()));
    const auto tally = std::make_shared<ControlTally>([asked, responder](const ControlOutcome& outcome) {
      const auto error = problem(asked.action, outcome);
      if (!error && asked.action != ControlAction::kTell) log_done(asked);
      responder->send(error ? error_response(*error) : Response{.body = outcome_json(asked, outcome)});
    });
    const bool found = context.running->control(asked, tally);
    if (context.messenger != nullptr) context.messenger->ask(std::move(asked), found, tally);
  };
}

}  // namespace

Handler request_state_handler(const HandlerContext& context) { return control_handler(context, ControlAction::kTell); }
Handler cancel_request_handler(const HandlerContext& context) {
  return control_handler(context, ControlAction::kCancel);
}
Handler finish_thinking_handler(const HandlerContext& context) {
  return control_handler(context, ControlAction::kFinishThought);
}

}  // namespace qwen
