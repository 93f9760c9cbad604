// POST /v1/chat/completions: OpenAI's words, the checkpoint's own sampling defaults.
#include "server/api/chat_types.h"
#include "server/api/request_json.h"
#include "server/handlers/generation_session.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openai_text_request.h"
#include "server/http/sse_writer.h"

namespace qwen {
namespace {

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(OpenAiHead head, const ChatRequest& chat)
      : head_(std::move(head)), choices_(static_cast<size_t>(chat.n)), include_usage_(chat.stream.include_usage) {}

  std::string whole(const TextStreams& streams) override { return chat_completion_json(head_, streams); }

  void open(std::string& out) override {
    for (size_t i = 0; i < choices_; ++i) append_sse_event(out, chat_role_chunk(head_, i));
  }
  void delta(std::string& out, size_t index, const TextDelta& delta) override {
    if (!delta.reasoning.empty()) append_sse_event(out, chat_reasoning_chunk(head_, index, delta.reasoning));
    if (!delta.content.empty()) append_sse_event(out, chat_content_chunk(head_, index, delta.content));
  }
  void finished(std::string& out, size_t index, const Completion& completion) override {
    append_sse_event(out, chat_finish_chunk(head_, index, completion));
  }
  void close(std::string& out, const TextStreams& streams) override {
    if (include_usage_) append_sse_event(out, chat_usage_chunk(head_, streams));
  }

 private:
  const OpenAiHead head_;
  const size_t choices_;
  const bool include_usage_;
};

void start_chat(const HandlerContext& context, Request& in, const ResponderPtr& out) {
  ChatRequest chat = parse_chat_request(parse_request(in.body));
  const auto model = context.service.ready_model();
  check_model_name(chat.model, model->info);
  TextRequest text = openai_text_request(chat.sampling, chat.logit_bias, chat.max_tokens, context.config, *model, in);
  text.max_tokens_param = chat.max_tokens_param;
  text.messages = std::move(chat.conversation.messages);
  text.template_options = std::move(chat.conversation.options);
  text.thinking = to_thinking_request(chat.limits);
  text.deadline = deadline_of(chat.limits, in.arrived, context.config.request_timeout);
  auto format = std::make_unique<ChatFormat>(new_openai_head("chatcmpl-", model->info), chat);
  const auto session = GenerationSession::create(out, std::move(format), chat.stream.stream, in, context.running);
  session->run(context.service.start_samples(std::move(text), chat.n, session->on_events()));
}

}  // namespace

Handler chat_completions_handler(const HandlerContext& context) {
  return [&context](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder),
                  [&context](Request& in, const ResponderPtr& out) { start_chat(context, in, out); });
  };
}

}  // namespace qwen
