#include <functional>

#include "server/api/json_writer.h"
#include "server/api/openai_types.h"

namespace qwen {
namespace {

const char* finish_reason_name(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";  // a deadline is a length limit in time
}

void write_usage(JsonWriter& json, const Usage& usage) {
  json.key("usage").begin_object();
  json.field("prompt_tokens", usage.prompt_tokens);
  json.field("completion_tokens", usage.completion_tokens);
  json.field("total_tokens", usage.prompt_tokens + usage.completion_tokens);
  json.key("prompt_tokens_details").begin_object().field("cached_tokens", usage.cached_tokens).end_object();
  json.key("completion_tokens_details").begin_object().field("reasoning_tokens", usage.reasoning_tokens).end_object();
  json.end_object();
}

void write_head(JsonWriter& json, const ChatHead& head, const char* object) {
  json.field("id", head.id).field("object", object).field("created", head.created).field("model", head.model);
  json.field("system_fingerprint", head.fingerprint);
}

using WriteDelta = std::function<void(JsonWriter&)>;

std::string chunk(const ChatHead& head, const WriteDelta& delta, const char* finish_reason = nullptr) {
  JsonWriter json;
  json.begin_object();
  write_head(json, head, "chat.completion.chunk");
  json.key("choices").begin_array().begin_object().field("index", 0);
  json.key("delta").begin_object();
  delta(json);
  json.end_object().key("logprobs").null().key("finish_reason");
  if (finish_reason != nullptr)
    json.value(finish_reason);
  else
    json.null();
  json.end_object().end_array().end_object();
  return json.take();
}

}  // namespace

std::string chat_completion_json(const ChatHead& head, const Completion& completion) {
  JsonWriter json;
  json.begin_object();
  write_head(json, head, "chat.completion");
  json.key("choices").begin_array().begin_object().field("index", 0);
  json.key("message").begin_object().field("role", "assistant");
  if (completion.answered)
    json.field("content", completion.text);
  else
    json.key("content").null();
  if (!completion.reasoning.empty())
    json.field("reasoning_content", completion.reasoning).field("reasoning", completion.reasoning);
  json.key("refusal").null();
  json.end_object().key("logprobs").null();
  json.field("finish_reason", finish_reason_name(completion.finish_reason));
  json.key("stop_reason");
  if (completion.stop_string.empty())
    json.null();
  else
    json.value(completion.stop_string);
  json.end_object().end_array();
  write_usage(json, completion.usage);
  json.end_object();
  return json.take();
}

std::string chat_role_chunk(const ChatHead& head) {
  return chunk(head, [](JsonWriter& json) { json.field("role", "assistant").field("content", ""); });
}
std::string chat_reasoning_chunk(const ChatHead& head, const std::string& text) {
  return chunk(head, [&](JsonWriter& json) { json.field("reasoning_content", text).field("reasoning", text); });
}
std::string chat_content_chunk(const ChatHead& head, const std::string& text) {
  return chunk(head, [&](JsonWriter& json) { json.field("content", text); });
}
std::string chat_finish_chunk(const ChatHead& head, const Completion& completion) {
  return chunk(
      head, [](JsonWriter&) {}, finish_reason_name(completion.finish_reason));
}

std::string chat_usage_chunk(const ChatHead& head, const Usage& usage) {
  JsonWriter json;
  json.begin_object();
  write_head(json, head, "chat.completion.chunk");
  json.key("choices").begin_array().end_array();
  write_usage(json, usage);
  json.end_object();
  return json.take();
}

}  // namespace qwen
