#include "base/error.h"
#include "server/api/json_writer.h"
#include "server/api/native_types.h"
#include "server/api/thinking_types.h"
#include "server/generation_service.h"
#include "server/request_error.h"
#include "thinking/reasoning_steps.h"

namespace qwen {
namespace {

constexpr int kMaxDepth = 10, kMaxPaths = 16;

}  // namespace

DeepThinkingRequest parse_thinking_request(const JsonValue& body) {
  FieldReader fields(body, FieldReader::Unknown::kReject);
  DeepThinkingRequest request;
  const auto question = fields.string("question");
  request.context = fields.string("context");
  request.system = fields.string("system");
  request.thinking_depth = static_cast<int>(fields.integer("thinking_depth", 1, kMaxDepth).value_or(3));
  request.include_reasoning = fields.boolean("include_reasoning").value_or(true);
  request.max_length = read_max_length(fields);
  request.sampling = read_sampling_fields(fields);
  request.limits = read_thinking_fields(fields);
  request.do_sample = fields.boolean("do_sample").value_or(true);
  request.stream = fields.boolean("stream").value_or(false);
  const int64_t paths = fields.integer("num_paths", 1, kMaxPaths).value_or(1);
  fields.finish();
  if (!question) throw Error(ErrorCode::kInvalidValue, "question is required", "question");
  if (question->empty()) throw_invalid("question", "not be empty");
  if (paths > 1) throw UnsupportedError("num_paths above 1 is not supported", "num_paths");
  request.question = *question;
  return request;
}

std::string thinking_prompt(const DeepThinkingRequest& request) {
  if (!request.context || request.context->empty()) return request.question;
  return *request.context + "\n\n" + request.question;
}

std::string thinking_answer_json(const DeepThinkingRequest& request, const Completion& completion,
                                 const ModelInfo& model) {
  JsonWriter json;
  json.begin_object();
  json.field("question", request.question);
  json.field("thinking_process", request.include_reasoning ? completion.reasoning : std::string());
  json.field("final_answer", completion.text);
  json.key("reasoning_steps").begin_array();
  if (request.include_reasoning)
    for (const std::string& step : reasoning_steps(completion.reasoning)) json.value(step);
  json.end_array();
  json.key("confidence_score").fixed(completion.answer_probability(), 6);
  json.key("processing_time").fixed(completion.seconds, 6);
  json.key("thinking").begin_object();
  json.field("tokens", completion.usage.reasoning_tokens).field("budget", completion.thinking_budget);
  json.field("ended_by", thinking_end_name(completion.thinking_end)).end_object();
  json.field("confidence_method", "mean_token_probability");
  write_native_end(json, completion);
  write_native_usage(json, completion.usage);
  json.field("cached", completion.cached);
  write_model_info(json, model);
  json.end_object();
  return json.take();
}

}  // namespace qwen
