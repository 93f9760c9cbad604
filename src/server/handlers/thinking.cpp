// POST /thinking: a question thought about within a budget, and its answer, in the deployment guide's words. Sampling
// defaults are the checkpoint's own: Qwen3 repeats itself when it thinks at other ones.

#include "server/api/json_writer.h"
#include "server/api/request_json.h"
#include "server/api/thinking_types.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

class ThinkingFormat final : public AnswerFormat {
 public:
  ThinkingFormat(DeepThinkingRequest request, std::shared_ptr<const LoadedModel> model)
      : request_(std::move(request)), model_(std::move(model)) {}

  std::string whole(const TextStreams& streams) override {
    return thinking_answer_json(request_, streams[0]->completion(), model_->info);
  }
  void delta(std::string& out, size_t, const TextDelta& delta) override {
    if (request_.include_reasoning && !delta.reasoning.empty())
      append_sse_event(out, JsonWriter().begin_object().field("reasoning", delta.reasoning).end_object().take());
    if (!delta.content.empty())
      append_sse_event(out, JsonWriter().begin_object().field("text", delta.content).end_object().take());
  }
  void close(std::string& out, const TextStreams& streams) override { append_sse_event(out, whole(streams)); }

 private:
  const DeepThinkingRequest request_;
  const std::shared_ptr<const LoadedModel> model_;
};

int budget_of(const DeepThinkingRequest& thinking, const ServiceConfig& config) {
  if (thinking.limits.budget) return *thinking.limits.budget;
  return thinking.thinking_depth * config.tokens_per_depth;
}

TextRequest to_text_request(const DeepThinkingRequest& thinking, const ServiceConfig& config, const LoadedModel& model,
                            const Request& in) {
  TextRequest text;
  if (thinking.system) text.messages.push_back({.role = "system", .content = *thinking.system});
  text.messages.push_back({.role = "user", .content = thinking_prompt(thinking)});
  const int budget = budget_of(thinking, config);
  text.template_options.thinking = budget != 0;
  text.template_options.enable_thinking = budget != 0;
  text.sampling = apply_sampling(thinking.sampling, model.default_sampling);
  if (!thinking.do_sample) text.sampling.temperature = 0;
  text.stop = thinking.sampling.stop;
  text.cache = cache_use(in, thinking.sampling.seed.has_value(), config);
  text.thinking = ThinkingRequest{
      .budget = budget,
      .time = thinking.limits.time,
      .loop_guard = true,
      .answer = thinking.max_length
                    ? ThinkingRequest::AnswerLimit{.tokens = thinking.max_length->tokens, .asked_for = true}
                    : ThinkingRequest::AnswerLimit{.tokens = config.default_max_length, .asked_for = false}};
  if (thinking.max_length) text.max_tokens_param = thinking.max_length->param;
  text.max_tokens_cap = config.max_length;
  text.started = in.arrived;
  text.max_wait = config.max_wait;
  text.deadline = deadline_of(thinking.limits, in.arrived, config.request_timeout);
  return text;
}

}  // namespace

Handler thinking_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder), [&context](Request& in, const ResponderPtr& out) {
      const DeepThinkingRequest thinking = parse_thinking_request(parse_request(in.body));
      const auto model = context.service.ready_model();
      TextRequest text = to_text_request(thinking, context.config, *model, in);
      const auto session = GenerationSession::create(out, std::make_unique<ThinkingFormat>(thinking, model),
                                                     thinking.stream, in, context.running);
      TextStreams streams;
      streams.push_back(context.service.start(std::move(text), session->on_events()));
      session->run(std::move(streams));
    });
  };
}

}  // namespace qwen
