// POST /generate: one prompt, one answer, in the deployment guide's words.
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

class GenerateFormat final : public AnswerFormat {
 public:
  GenerateFormat(std::string prompt, std::shared_ptr<const LoadedModel> model)
      : prompt_(std::move(prompt)), model_(std::move(model)) {}

  std::string whole(const TextStreams& streams) override {
    return generate_answer_json(prompt_, streams[0]->completion(), model_->info);
  }
  void delta(std::string& out, size_t, const TextDelta& delta) override {
    if (!delta.reasoning.empty())
      append_sse_event(out, JsonWriter().begin_object().field("reasoning", delta.reasoning).end_object().take());
    if (!delta.content.empty())
      append_sse_event(out, JsonWriter().begin_object().field("text", delta.content).end_object().take());
  }
  void close(std::string& out, const TextStreams& streams) override { append_sse_event(out, whole(streams)); }

 private:
  const std::string prompt_;
  const std::shared_ptr<const LoadedModel> model_;
};

TextRequest to_text_request(const GenerateRequest& generate, const ServiceConfig& config, const LoadedModel& model) {
  TextRequest text;
  if (generate.raw) {
    text.raw_prompt = generate.prompt;
  } else {
    if (generate.system) text.messages.push_back({.role = "system", .content = *generate.system});
    text.messages.push_back({.role = "user", .content = generate.prompt});
    text.template_options.thinking = generate.thinking;
    text.template_options.enable_thinking = generate.thinking;
  }
  SamplingParams defaults = model.default_sampling;
  defaults.temperature = config.default_temperature;
  defaults.top_p = config.default_top_p;
  text.sampling = apply_sampling(generate.sampling, defaults);
  if (!generate.do_sample) text.sampling.temperature = 0;
  text.stop = generate.sampling.stop;
  text.max_tokens = generate.max_length;
  text.default_max_tokens = config.default_max_length;
  text.max_tokens_cap = config.max_length;
  return text;
}

}  // namespace

Handler generate_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();  // while loading, say so before anything else
    run_on_worker(context, std::move(request), std::move(responder), [&context](Request& in, const ResponderPtr& out) {
      const GenerateRequest generate = parse_generate_request(parse_request(in.body));
      const auto model = context.service.ready_model();
      TextRequest text = to_text_request(generate, context.config, *model);
      text.started = in.arrived;
      text.deadline = in.arrived + context.config.request_timeout;
      const auto session = GenerationSession::create(out, std::make_unique<GenerateFormat>(generate.prompt, model),
                                                     generate.stream, in.request_id);
      TextStreams streams;
      streams.push_back(context.service.start(std::move(text), session->on_events()));
      session->run(std::move(streams));
    });
  };
}

}  // namespace qwen
