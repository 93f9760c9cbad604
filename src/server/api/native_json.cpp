#include <limits>

#include "base/error.h"
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/generation_service.h"

namespace qwen {
namespace {

// One meaning, three names: the guide's and the two that users of other services type.
std::optional<int> read_max_length(FieldReader& fields) {
  std::optional<int> result;
  for (const char* name : {"max_length", "max_tokens", "max_new_tokens"}) {
    const auto value = fields.integer(name, 1, std::numeric_limits<int32_t>::max());
    if (!value) continue;
    if (result && *result != *value) throw_invalid(name, "agree with max_length: both mean the most new tokens");
    result = static_cast<int>(*value);
  }
  return result;
}

}  // namespace

GenerateRequest parse_generate_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  GenerateRequest request;
  const auto prompt = fields.string("prompt");
  request.max_length = read_max_length(fields);
  request.sampling = read_sampling_fields(fields);
  request.system = fields.string("system");
  request.do_sample = fields.boolean("do_sample").value_or(true);
  request.stream = fields.boolean("stream").value_or(false);
  request.thinking = fields.boolean("thinking").value_or(false);
  request.raw = fields.boolean("raw").value_or(false);
  fields.finish();
  if (!prompt) throw Error(ErrorCode::kInvalidValue, "prompt is required", "prompt");
  if (prompt->empty()) throw_invalid("prompt", "not be empty");
  if (request.raw && request.system)
    throw_invalid("system", "not be given with raw, which takes the prompt as it stands");
  if (request.raw && request.thinking)
    throw_invalid("thinking", "not be given with raw: the prompt itself says how it ends");
  request.prompt = *prompt;
  return request;
}

std::string native_finish_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    default:
      return "cancelled";
  }
}

std::string generate_answer_json(const std::string& prompt, const Completion& completion, const ModelInfo& model) {
  JsonWriter json;
  json.begin_object();
  json.field("generated_text", completion.text);
  json.field("prompt", prompt);
  json.key("generation_time").fixed(completion.seconds, 6);
  json.field("token_count", completion.usage.completion_tokens);
  json.key("model_info").begin_object();
  json.field("model_type", model.name).field("quantization", model.quantization);
  json.end_object();
  json.field("finish_reason", native_finish_reason(completion.finish_reason));
  json.key("usage").begin_object();
  json.field("prompt_tokens", completion.usage.prompt_tokens);
  json.field("completion_tokens", completion.usage.completion_tokens);
  json.field("cached_tokens", completion.usage.cached_tokens);
  json.end_object();
  json.field("cached", false);
  if (!completion.reasoning.empty()) json.field("reasoning", completion.reasoning);
  json.end_object();
  return json.take();
}

}  // namespace qwen
