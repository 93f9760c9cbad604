#include <limits>

#include "base/error.h"
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/generation_service.h"

namespace qwen {

std::optional<MaxLength> read_max_length(FieldReader& fields) {
  std::optional<MaxLength> result;
  for (const char* name : {"max_length", "max_tokens", "max_new_tokens"}) {
    const auto value = fields.integer(name, 1, std::numeric_limits<int32_t>::max());
    if (!value) continue;
    if (result && result->tokens != *value)
      throw_invalid(name, str("agree with ", result->param, ": both mean the most new tokens"));
    if (!result) result = {static_cast<int>(*value), name};
  }
  return result;
}

namespace {

GenerateRequest read_generate_fields(FieldReader& fields) {
  GenerateRequest request;
  request.max_length = read_max_length(fields);
  request.sampling = read_sampling_fields(fields);
  request.system = fields.string("system");
  request.do_sample = fields.boolean("do_sample").value_or(true);
  request.stream = fields.boolean("stream").value_or(false);
  request.thinking = fields.boolean("thinking").value_or(false);
  request.raw = fields.boolean("raw").value_or(false);
  request.limits = read_thinking_fields(fields);
  return request;
}

void check_combinations(const GenerateRequest& request) {
  if (request.raw && request.system)
    throw_invalid("system", "not be given with raw, which takes the prompt as it stands");
  if (request.raw && request.thinking)
    throw_invalid("thinking", "not be given with raw: the prompt itself says how it ends");
  if (!request.thinking && (request.limits.budget.value_or(-1) > 0 || request.limits.time))
    throw_invalid(request.limits.time ? "thinking_time_ms" : "thinking_budget", "only be given with thinking true");
}

}  // namespace

GenerateRequest parse_generate_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  const auto prompt = fields.string("prompt");
  GenerateRequest request = read_generate_fields(fields);
  fields.finish();
  if (!prompt) throw Error(ErrorCode::kInvalidValue, "prompt is required", "prompt");
  if (prompt->empty()) throw_invalid("prompt", "not be empty");
  check_combinations(request);
  request.prompt = *prompt;
  return request;
}

BatchGenerateRequest parse_batch_generate_request(const JsonValue& body, int max_prompts) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  const JsonValue* prompts = fields.any("prompts");
  BatchGenerateRequest request{.prompts = {}, .shared = read_generate_fields(fields)};
  fields.finish();
  if (prompts == nullptr) throw Error(ErrorCode::kInvalidValue, "prompts is required", "prompts");
  if (!prompts->is_array() || prompts->items.empty() || prompts->items.size() > static_cast<size_t>(max_prompts))
    throw_invalid("prompts", str("be a list of 1 to ", max_prompts, " prompts"));
  for (size_t i = 0; i < prompts->items.size(); ++i) {
    const JsonValue& prompt = prompts->items[i];
    if (!prompt.is_string() || prompt.text.empty()) throw_invalid(str("prompts[", i, "]"), "be a string, not empty");
    request.prompts.push_back(prompt.text);
  }
  check_combinations(request.shared);
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

void write_native_end(JsonWriter& json, const Completion& completion) {
  json.field("finish_reason", native_finish_reason(completion.finish_reason));
  if (completion.timed_out()) json.field("timed_out", true);
}

void write_model_info(JsonWriter& json, const ModelInfo& model) {
  json.key("model_info").begin_object();
  json.field("model_type", model.name).field("quantization", model.quantization);
  json.end_object();
}

void write_native_usage(JsonWriter& json, const Usage& usage) {
  json.key("usage").begin_object();
  json.field("prompt_tokens", usage.prompt_tokens);
  json.field("completion_tokens", usage.completion_tokens);
  json.field("cached_tokens", usage.cached_tokens);
  json.end_object();
}

void write_generate_answer(JsonWriter& json, const std::string& prompt, const Completion& completion,
                           const ModelInfo& model) {
  json.field("generated_text", completion.text);
  json.field("prompt", prompt);
  json.key("generation_time").fixed(completion.seconds, 6);
  json.field("token_count", completion.usage.completion_tokens);
  write_model_info(json, model);
  write_native_end(json, completion);
  write_native_usage(json, completion.usage);
  json.field("cached", completion.cached);
  if (!completion.reasoning.empty()) json.field("reasoning", completion.reasoning);
}

std::string generate_answer_json(const std::string& prompt, const Completion& completion, const ModelInfo& model) {
  JsonWriter json;
  json.begin_object();
  write_generate_answer(json, prompt, completion, model);
  json.end_object();
  return json.take();
}

}  // namespace qwen
