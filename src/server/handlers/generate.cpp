// POST /generate: one prompt, one answer, in the deployment guide's words.
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/handlers/native_text_request.h"
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

}  // namespace

Handler generate_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();  // while loading, say so before anything else
    run_on_worker(context, std::move(request), std::move(responder), [&context](Request& in, const ResponderPtr& out) {
      const GenerateRequest generate = parse_generate_request(parse_request(in.body));
      const auto model = context.service.ready_model();
      TextRequest text = native_text_request(generate, generate.prompt, context.config, *model, in);
      const auto session = GenerationSession::create(out, std::make_unique<GenerateFormat>(generate.prompt, model),
                                                     generate.stream, in, context.running);
      TextStreams streams;
      streams.push_back(context.service.start(std::move(text), session->on_events()));
      session->run(std::move(streams));
    });
  };
}

}  // namespace qwen
