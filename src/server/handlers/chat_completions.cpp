// POST /v1/chat/completions: OpenAI's words, the checkpoint's own sampling defaults.
#include "server/api/openai_types.h"
#include "server/api/request_json.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/http/request_id.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(ChatHead head, bool include_usage) : head_(std::move(head)), include_usage_(include_usage) {}

  std::string whole(const TextStreams& streams) override {
    return chat_completion_json(head_, streams[0]->completion());
  }

  void open(std::string& out) override { append_sse_event(out, chat_role_chunk(head_)); }
  void delta(std::string& out, size_t, const TextDelta& delta) override {
    if (!delta.reasoning.empty()) append_sse_event(out, chat_reasoning_chunk(head_, delta.reasoning));
    if (!delta.content.empty()) append_sse_event(out, chat_content_chunk(head_, delta.content));
  }
  void finished(std::string& out, size_t, const Completion& completion) override {
    append_sse_event(out, chat_finish_chunk(head_, completion));
  }
  void close(std::string& out, const TextStreams& streams) override {
    if (include_usage_) append_sse_event(out, chat_usage_chunk(head_, streams[0]->completion().usage));
  }

 private:
  const ChatHead head_;
  const bool include_usage_;
};

TextRequest to_text_request(ChatRequest& chat, const ServiceConfig& config, const LoadedModel& model) {
  TextRequest text;
  text.messages = std::move(chat.conversation.messages);
  text.template_options = std::move(chat.conversation.options);
  text.sampling = apply_sampling(chat.sampling, model.default_sampling);
  text.sampling.logit_bias = std::move(chat.logit_bias);
  text.stop = std::move(chat.sampling.stop);
  text.max_tokens = chat.max_tokens;
  text.max_tokens_cap = config.max_completion_tokens;
  return text;
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Handler chat_completions_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder), [&context](Request& in, const ResponderPtr& out) {
      ChatRequest chat = parse_chat_request(parse_request(in.body));
      const auto model = context.service.ready_model();
      if (!chat.model.empty() && chat.model != model->info.name)
        throw Error(ErrorCode::kNotFound, str("this server serves ", model->info.name, " and no other model"), "model");
      TextRequest text = to_text_request(chat, context.config, *model);
      text.started = in.arrived;
      text.deadline = in.arrived + context.config.request_timeout;
      ChatHead head{.id = "chatcmpl-" + random_hex(24),
                    .model = model->info.name,
                    .fingerprint = "fp_" + model->info.fingerprint,
                    .created = unix_seconds()};
      const auto session = GenerationSession::create(
          out, std::make_unique<ChatFormat>(std::move(head), chat.include_usage), chat.stream, in.request_id);
      TextStreams streams;
      streams.push_back(context.service.start(std::move(text), session->on_events()));
      session->run(std::move(streams));
    });
  };
}

}  // namespace qwen
