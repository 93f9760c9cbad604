// OpenAI's text completions (the older route, without messages): prompts go to the model as they stand, and everything
// it says comes back as one text, a thought and its tags included.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/openai_fields.h"
#include "server/api/openai_head.h"
#include "server/api/sampling_fields.h"
#include "server/api/thinking_fields.h"

namespace qwen {

inline constexpr int kDefaultCompletionTokens = 16;  // OpenAI's

struct CompletionPrompt {  // text or ids, not empty
  std::string text;
  std::vector<TokenId> ids;
  std::string param;  // its place in the request, for errors
};

struct CompletionRequest {
  std::string model;  // empty: not given
  std::vector<CompletionPrompt> prompts;
  SamplingFields sampling;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::optional<int> max_tokens;
  int n = 1;          // choices for each prompt
  bool echo = false;  // each text begins with its prompt
  StreamFields stream;
  ThinkingFields limits;
};

// Errors: as parse_chat_request.
CompletionRequest parse_completion_request(const JsonValue& body, int max_prompts);

// `streams`: those of the first prompt, then those of the next; `echo`: by prompt, empty where not asked for.
std::string text_completion_json(const OpenAiHead& head, const TextStreams& streams, size_t n,
                                 const std::vector<std::string>& echo);
std::string text_completion_chunk(const OpenAiHead& head, size_t index, const std::string& text,
                                  const Completion* end = nullptr);
std::string text_completion_usage_chunk(const OpenAiHead& head, const TextStreams& streams, size_t n);

}  // namespace qwen
