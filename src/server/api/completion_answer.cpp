// See completion_types.h: the answer in one piece, and as the chunks of a stream.
#include "server/api/completion_types.h"

namespace qwen {

std::string text_completion_json(const OpenAiHead& head, const TextStreams& streams, size_t n,
                                 const std::vector<std::string>& echo) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "text_completion");
  json.key("choices").begin_array();
  for (size_t i = 0; i < streams.size(); ++i) {
    const Completion& completion = streams[i]->completion();
    json.begin_object().field("index", i);
    json.field("text", echo.empty() ? completion.text : echo[i / n] + completion.text);
    json.key("logprobs").null();
    write_end(json, completion);
    json.end_object();
  }
  json.end_array();
  write_usage(json, streams, n);
  json.end_object();
  return json.take();
}

std::string text_completion_chunk(const OpenAiHead& head, size_t index, const std::string& text,
                                  const Completion* end) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "text_completion");
  json.key("choices").begin_array().begin_object();
  json.field("index", index).field("text", text).key("logprobs").null();
  if (end != nullptr)
    write_end(json, *end);
  else
    write_no_end(json);
  json.end_object().end_array().end_object();
  return json.take();
}

std::string text_completion_usage_chunk(const OpenAiHead& head, const TextStreams& streams, size_t n) {
  JsonWriter json;
  json.begin_object();
  write_openai_head(json, head, "text_completion");
  json.key("choices").begin_array().end_array();
  write_usage(json, streams, n);
  json.end_object();
  return json.take();
}

}  // namespace qwen
