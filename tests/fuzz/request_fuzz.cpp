// A request's body, read by every route. The strict reader accepts what a general JSON reader understands in the same
// way; each route either refuses with a 400 in the one error shape, or makes a request that the template, the tokenizer
// and the engine take.
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/request_check.h"
#include "fuzz.h"
#include "server/api/chat_types.h"
#include "server/api/completion_types.h"
#include "server/api/errors.h"
#include "server/api/native_types.h"
#include "server/api/request_json.h"
#include "server/api/thinking_types.h"
#include "server/api/tokenize_types.h"
#include "server/generation_service.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace qwen::fuzz {
namespace {

using nlohmann::json;

constexpr int kMaxPrompts = 8, kMostTokens = 1 << 30;

template <typename Read>
bool serves(const Read& read) {
  try {
    read();
    return true;
  } catch (...) {
    const ApiError error = to_api_error(std::current_exception(), "id");
    FUZZ_CHECK(error.status == 400);
    check_message(error.message);
    check_message(error.code + error.param);
    const std::string text = error_json(error);
    FUZZ_CHECK(text.size() <= 2048 && json::parse(text).at("error").at("code") == error.code);
    return false;
  }
}

const Tokenizer& tokenizer() {
  static const Tokenizer result = Tokenizer::load(QWEN_SOURCE_DIR "/tests/data/text");
  return result;
}

// Nothing that the caller wrote becomes a control token: as many come out as the template itself writes.
void check_control_tokens(const std::vector<TextSegment>& segments) {
  size_t written = 0, encoded = 0;
  for (const TextSegment& segment : segments)
    if (segment.trusted)
      for (const TokenId id : tokenizer().encode(segment.text)) written += tokenizer().is_added(id);
  for (const TokenId id : tokenizer().encode(segments)) encoded += tokenizer().is_added(id);
  FUZZ_CHECK(written == encoded);
}

void check_conversation(const Conversation& conversation) {
  for (const std::string& tool : conversation.options.tools) FUZZ_CHECK(json::accept(tool));
  for (const auto family : {TemplateFamily::kThinking2507, TemplateFamily::kHybrid, TemplateFamily::kInstruct2507})
    serves([&] {
      check_control_tokens(ChatTemplate(family).render_segments(conversation.messages, conversation.options));
    });
}

void check_sampling(const SamplingFields& fields, const std::optional<int>& max_tokens,
                    const std::vector<std::pair<TokenId, float>>& logit_bias = {}) {
  GenerationRequest request;
  request.prompt = {0};
  request.sampling = apply_sampling(fields, {});
  request.sampling.max_tokens = max_tokens.value_or(1);
  request.sampling.logit_bias = logit_bias;
  check_request(request, 2, std::numeric_limits<int>::max());  // would throw
  FUZZ_CHECK(fields.stop.size() <= kMaxStopStrings);
}

std::optional<int> tokens(const std::optional<MaxLength>& most) {
  return most ? std::optional(most->tokens) : std::nullopt;
}

void check_ids(const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) FUZZ_CHECK(id >= 0);
}

void check_generate(const JsonValue& body) {
  const GenerateRequest request = parse_generate_request(body);
  FUZZ_CHECK(!request.prompt.empty());
  check_sampling(request.sampling, tokens(request.max_length));
}

// The guide's two answers repeat what was asked.
void check_answers(const std::string& asked, const DeepThinkingRequest& request) {
  const Completion completion{.text = asked, .reasoning = asked};
  FUZZ_CHECK(json::parse(generate_answer_json(asked, completion, {})).at("prompt") == asked);
  const json answer = json::parse(thinking_answer_json(request, completion, {}));
  FUZZ_CHECK(answer.at("question") == asked && answer.at("final_answer") == asked);
}

void check_thinking(const JsonValue& body) {
  const DeepThinkingRequest request = parse_thinking_request(body);
  FUZZ_CHECK(!request.question.empty() && request.thinking_depth >= 1 && request.thinking_depth <= 10);
  FUZZ_CHECK(request.limits.budget.value_or(-1) >= -1);
  FUZZ_CHECK(thinking_prompt(request).find(request.question) != std::string::npos);
  check_sampling(request.sampling, tokens(request.max_length));
  check_answers(request.question, request);
}

void check_batch_generate(const JsonValue& body) {
  const BatchGenerateRequest request = parse_batch_generate_request(body, kMaxPrompts);
  FUZZ_CHECK(!request.prompts.empty() && request.prompts.size() <= kMaxPrompts);
  check_sampling(request.shared.sampling, tokens(request.shared.max_length));
}

void check_chat(const JsonValue& body) {
  const ChatRequest request = parse_chat_request(body);
  check_sampling(request.sampling, request.max_tokens, request.logit_bias);
  FUZZ_CHECK(request.n >= 1 && request.n <= kMaxChoices);
  check_conversation(request.conversation);
}

void check_completion(const JsonValue& body) {
  const CompletionRequest request = parse_completion_request(body, kMaxPrompts);
  FUZZ_CHECK(!request.prompts.empty() && request.prompts.size() <= kMaxPrompts);
  for (const CompletionPrompt& prompt : request.prompts) {
    FUZZ_CHECK(prompt.text.empty() != prompt.ids.empty());
    check_ids(prompt.ids);
  }
  check_sampling(request.sampling, request.max_tokens, request.logit_bias);
}

void check_tokenize(const JsonValue& body) {
  const TokenizeRequest request = parse_tokenize_request(body);
  if (request.conversation) return check_conversation(*request.conversation);
  const std::vector<TokenId> ids = tokenizer().encode(request.text);
  const json answer = json::parse(tokenize_answer_json(ids, kMostTokens, &tokenizer()));
  FUZZ_CHECK(answer.at("count") == ids.size() && answer.at("token_strs").size() == ids.size());
}

void check_routes(const JsonValue& body) {
  serves([&] { check_generate(body); });
  serves([&] { check_thinking(body); });
  serves([&] { check_batch_generate(body); });
  serves([&] { check_chat(body); });
  serves([&] { check_completion(body); });
  serves([&] { check_tokenize(body); });
  serves([&] { check_ids(parse_detokenize_request(body).tokens); });
  serves([&] { check_conversation(parse_apply_template_request(body).conversation); });
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  qwen::JsonValue body;
  if (!serves([&] { body = qwen::parse_request(text); })) return 0;
  const std::string written = qwen::python_json(body);
  FUZZ_CHECK(json::parse(text) == json::parse(written));
  FUZZ_CHECK(qwen::python_json(qwen::parse_request(written)) == written);
  check_routes(body);
  return 0;
}
