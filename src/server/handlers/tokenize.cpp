// POST /tokenize, /detokenize, /apply-template: what the service does to a prompt before the model sees it. Answered
// from a worker thread, without the engine.
#include "server/api/json_writer.h"
#include "server/api/request_json.h"
#include "server/api/token_ids.h"
#include "server/api/tokenize_types.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openai_text_request.h"

namespace qwen {
namespace {

using Answer = std::string (*)(const JsonValue& body, const LoadedModel& model);

Handler on_worker(const HandlerContext& context, Answer answer) {
  return [&context, answer](Request request, ResponderPtr responder) {
    context.service.ready_model();
    run_on_worker(context, std::move(request), std::move(responder),
                  [&context, answer](Request& in, const ResponderPtr& out) {
                    const auto model = context.service.ready_model();
                    out->send({.body = answer(parse_request(in.body), *model)});
                  });
  };
}

std::string tokenize(const JsonValue& body, const LoadedModel& model) {
  const TokenizeRequest request = parse_tokenize_request(body);
  check_model_name(request.model, model.info);
  const Tokenizer& tokenizer = *model.tokenizer;
  std::vector<TokenId> tokens;
  if (request.conversation) {
    tokens = tokenizer.encode(
        model.chat_template->render_segments(request.conversation->messages, request.conversation->options));
  } else {
    tokens = tokenizer.encode(request.text, request.parse_special ? AddedTokens::kRecognise : AddedTokens::kAsText);
  }
  return tokenize_answer_json(tokens, model.engine->max_model_len(), request.return_token_strs ? &tokenizer : nullptr);
}

std::string detokenize(const JsonValue& body, const LoadedModel& model) {
  const DetokenizeRequest request = parse_detokenize_request(body);
  check_model_name(request.model, model.info);
  check_token_ids(request.tokens, model.tokenizer->vocab_size(), "tokens");
  const std::string text = model.tokenizer->decode(request.tokens, false);
  // vLLM's word for it and llama-server's.
  return JsonWriter().begin_object().field("prompt", text).field("content", text).end_object().take();
}

std::string apply_template(const JsonValue& body, const LoadedModel& model) {
  const ApplyTemplateRequest request = parse_apply_template_request(body);
  check_model_name(request.model, model.info);
  const std::string prompt = model.chat_template->render(request.conversation.messages, request.conversation.options);
  return JsonWriter().begin_object().field("prompt", prompt).end_object().take();
}

}  // namespace

Handler tokenize_handler(const HandlerContext& context) { return on_worker(context, tokenize); }
Handler detokenize_handler(const HandlerContext& context) { return on_worker(context, detokenize); }
Handler apply_template_handler(const HandlerContext& context) { return on_worker(context, apply_template); }

}  // namespace qwen
