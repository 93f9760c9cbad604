// POST /tokenize and /detokenize: text to token ids and back, without the engine.
#include "server/api/json_writer.h"
#include "server/api/token_ids.h"
#include "server/api/tokenize_types.h"
#include "server/handlers/handlers.h"
#include "server/handlers/openai_text_request.h"

namespace qwen {
namespace {

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

}  // namespace

Handler tokenize_handler(const HandlerContext& context) { return answer_on_worker(context, tokenize); }
Handler detokenize_handler(const HandlerContext& context) { return answer_on_worker(context, detokenize); }

}  // namespace qwen
