#include "server/api/openai_head.h"

#include <chrono>

#include "server/generation_service.h"
#include "server/http/request_id.h"

namespace qwen {

OpenAiHead new_openai_head(const std::string& id_prefix, const ModelInfo& model) {
  using std::chrono::seconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.id = id_prefix + random_hex(24),
          .model = model.name,
          .fingerprint = "fp_" + model.fingerprint,
          .created = std::chrono::duration_cast<seconds>(now).count()};
}

void write_openai_head(JsonWriter& json, const OpenAiHead& head, const char* object) {
  json.field("id", head.id).field("object", object).field("created", head.created).field("model", head.model);
  json.field("system_fingerprint", head.fingerprint);
}

void write_no_end(JsonWriter& json) { json.key("finish_reason").null(); }

void write_end(JsonWriter& json, const Completion& completion) {
  // A deadline is a length limit in time: clients know no other word for a cut. Who cancels knows what it means.
  const bool stopped = completion.finish_reason == FinishReason::kStop;
  const bool cancelled = completion.finish_reason == FinishReason::kCancelled;
  json.field("finish_reason", stopped ? "stop" : cancelled ? "cancelled" : "length");
  json.key("stop_reason");
  if (completion.stop_string.empty())
    json.null();
  else
    json.value(completion.stop_string);
  if (completion.timed_out()) json.field("timed_out", true);
}

void write_usage(JsonWriter& json, const TextStreams& streams, size_t choices_per_prompt) {
  int64_t prompt = 0, cached = 0, completion = 0, reasoning = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    const Usage& usage = streams[i]->completion().usage;
    if (i % choices_per_prompt == 0) {
      prompt += usage.prompt_tokens;
      cached += usage.cached_tokens;
    }
    completion += usage.completion_tokens;
    reasoning += usage.reasoning_tokens;
  }
  json.key("usage").begin_object();
  json.field("prompt_tokens", prompt).field("completion_tokens", completion);
  json.field("total_tokens", prompt + completion);
  json.key("prompt_tokens_details").begin_object().field("cached_tokens", cached).end_object();
  json.key("completion_tokens_details").begin_object().field("reasoning_tokens", reasoning).end_object();
  json.end_object();
}

}  // namespace qwen
