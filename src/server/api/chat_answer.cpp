// See chat_types.h: the answer in one piece, and as the chunks of a stream.
#include <functional>

#include "server/api/chat_types.h"

namespace qwen {
namespace {

using WriteDelta = std::function<void(JsonWriter&)>;

std::string chunk(const OpenAiHead& head, size_t index, const WriteDelta& delta, const Completion* end = nullptr) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "chat.completion.chunk");
  json.key("choices").begin_array().begin_object().field("index", index);
  json.key("delta").begin_object();
  delta(json);
  json.end_object().key("logprobs").null();
  if (end != nullptr)
    write_end(json, *end);
  else
    write_no_end(json);
  json.end_object().end_array().end_object();
  return json.take();
}

void write_choice(JsonWriter& json, size_t index, const Completion& completion) {
  json.begin_object().field("index", index);
  json.key("message").begin_object().field("role", "assistant");
  if (completion.answered)
    json.field("content", completion.text);
  else
    json.key("content").null();
  if (!completion.reasoning.empty())
    json.field("reasoning_content", completion.reasoning).field("reasoning", completion.reasoning);
  json.key("refusal").null();
  json.end_object().key("logprobs").null();
  write_end(json, completion);
  json.end_object();
}

}  // namespace

std::string chat_completion_json(const OpenAiHead& head, const TextStreams& choices) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "chat.completion");
  json.key("choices").begin_array();
  for (size_t i = 0; i < choices.size(); ++i) write_choice(json, i, choices[i]->completion());
  json.end_array();
  write_usage(json, choices, choices.size());
  json.end_object();
  return json.take();
}

std::string chat_role_chunk(const OpenAiHead& head, size_t index) {
  return chunk(head, index, [](JsonWriter& json) { json.field("role", "assistant").field("content", ""); });
}
std::string chat_reasoning_chunk(const OpenAiHead& head, size_t index, const std::string& text) {
  return chunk(head, index, [&](JsonWriter& json) { json.field("reasoning_content", text).field("reasoning", text); });
}
std::string chat_content_chunk(const OpenAiHead& head, size_t index, const std::string& text) {
  return chunk(head, index, [&](JsonWriter& json) { json.field("content", text); });
}
std::string chat_finish_chunk(const OpenAiHead& head, size_t index, const Completion& completion) {
  return chunk(
      head, index, [](JsonWriter&) {}, &completion);
}

std::string chat_usage_chunk(const OpenAiHead& head, const TextStreams& choices) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "chat.completion.chunk");
  json.key("choices").begin_array().end_array();
  write_usage(json, choices, choices.size());
  json.end_object();
  return json.take();
}

}  // namespace qwen
