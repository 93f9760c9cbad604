// See chat_types.h: what a request may say, and what is refused because it is not done here.
#include <limits>

#include "base/error.h"
#include "server/api/chat_thinking_fields.h"
#include "server/api/chat_types.h"
#include "server/api/conversation_fields.h"
#include "server/request_error.h"

namespace qwen {
namespace {

void refuse_unsupported(const JsonValue& body) {
  refuse_given(body, {"logprobs", "top_logprobs", "functions", "function_call", "audio", "prediction", "prompt_embeds",
                      "use_beam_search", "echo", "suffix", "chat_template", "guided_json", "guided_regex",
                      "guided_choice", "guided_grammar", "structured_outputs", "continue_final_message"});
  if (const JsonValue* format = given(body, "response_format")) {
    const JsonValue* type = format->find("type");
    if (type == nullptr || !type->is_string() || type->text != "text")
      throw UnsupportedError("response_format other than {\"type\":\"text\"} is not supported", "response_format");
  }
  if (const JsonValue* choice = given(body, "tool_choice"))
    if (!choice->is_string() || (choice->text != "auto" && choice->text != "none"))
      throw UnsupportedError("tool_choice other than \"auto\" and \"none\" is not supported", "tool_choice");
  if (const JsonValue* modalities = given(body, "modalities"))
    if (!modalities->is_array() || modalities->items.size() != 1 || modalities->items[0].text != "text")
      throw UnsupportedError("modalities other than [\"text\"] are not supported", "modalities");
}

}  // namespace

ChatRequest parse_chat_request(const JsonValue& body) {
  refuse_unsupported(body);
  FieldReader fields(body, FieldReader::Unknown::kIgnore);
  ChatRequest request;
  request.model = fields.string("model", kMaxModelBytes).value_or("");
  request.conversation = read_conversation(fields);
  // The model would write its call as text, and a client that waits for tool_calls would take it for the answer.
  if (!request.conversation.options.tools.empty())
    throw UnsupportedError("tool calls are not supported; leave tools out or send tool_choice \"none\"", "tools");
  request.sampling = read_sampling_fields(fields);
  request.logit_bias = read_logit_bias(fields);
  request.n = read_choices(fields);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const auto newer = fields.integer("max_completion_tokens", 1, kMost), older = fields.integer("max_tokens", 1, kMost);
  if (newer || older) request.max_tokens = static_cast<int>(newer ? *newer : *older);
  if (newer) request.max_tokens_param = "max_completion_tokens";
  request.stream = read_stream_fields(fields);
  request.limits = read_chat_thinking(fields, request.conversation.options);
  return request;
}

}  // namespace qwen
