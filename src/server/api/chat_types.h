// OpenAI's chat completions as its clients speak them: requests in, answers and chunks out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/openai_fields.h"
#include "server/api/openai_head.h"
#include "server/api/sampling_fields.h"
#include "server/api/thinking_fields.h"
#include "text/message.h"

namespace qwen {

struct ChatRequest {
  std::string model;  // empty: not given
  Conversation conversation;
  SamplingFields sampling;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::optional<int> max_tokens;
  std::string max_tokens_param = "max_tokens";  // or max_completion_tokens, which goes before it
  int n = 1;                                    // answers to the one conversation
  ThinkingFields limits;
  StreamFields stream;
};

// Unknown fields are ignored; what is known and not done here is an UnsupportedError. Errors: kInvalidValue naming the
// field.
ChatRequest parse_chat_request(const JsonValue& body);

std::string chat_completion_json(const OpenAiHead& head, const TextStreams& choices);

// Chunks of a stream, of the choice `index`.
std::string chat_role_chunk(const OpenAiHead& head, size_t index);
std::string chat_reasoning_chunk(const OpenAiHead& head, size_t index, const std::string& text);
std::string chat_content_chunk(const OpenAiHead& head, size_t index, const std::string& text);
std::string chat_finish_chunk(const OpenAiHead& head, size_t index, const Completion& completion);
std::string chat_usage_chunk(const OpenAiHead& head, const TextStreams& choices);

}  // namespace qwen
