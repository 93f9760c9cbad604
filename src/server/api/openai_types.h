// OpenAI's chat completions as its clients speak them: requests in, answers and chunks out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/sampling_fields.h"
#include "server/text_stream.h"
#include "text/message.h"

namespace qwen {

struct ChatRequest {
  std::string model;  // empty: not given
  Conversation conversation;
  SamplingFields sampling;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::optional<int> max_tokens;
  bool stream = false;
  bool include_usage = false;
};

// Unknown fields are ignored; what is known and not done here is an UnsupportedError. Errors: kInvalidValue naming the
// field.
ChatRequest parse_chat_request(const JsonValue& body);

// What all events of one completion repeat.
struct ChatHead {
  std::string id, model, fingerprint;
  int64_t created = 0;  // seconds since 1970
};

std::string chat_completion_json(const ChatHead& head, const Completion& completion);

std::string chat_role_chunk(const ChatHead& head);
std::string chat_reasoning_chunk(const ChatHead& head, const std::string& text);
std::string chat_content_chunk(const ChatHead& head, const std::string& text);
std::string chat_finish_chunk(const ChatHead& head, const Completion& completion);
std::string chat_usage_chunk(const ChatHead& head, const Usage& usage);

}  // namespace qwen
