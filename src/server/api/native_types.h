// The native routes' requests and answers as the deployment guide names their fields, to and from JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/sampling_fields.h"
#include "server/api/thinking_fields.h"
#include "server/text_stream.h"

namespace qwen {

class JsonWriter;
struct ModelInfo;

struct MaxLength {
  int tokens = 1;     // most new ones
  std::string param;  // the name by which it was given
};

struct GenerateRequest {
  std::string prompt;  // not empty
  std::optional<std::string> system;
  SamplingFields sampling;
  std::optional<MaxLength> max_length;
  bool do_sample = true;  // false: greedy
  bool stream = false;
  bool thinking = false;  // false: the prompt closes the thought, the answer comes at once
  bool raw = false;       // the prompt as it stands
  ThinkingFields limits;
};

// Errors: kInvalidValue and kUnknownField naming the field.
GenerateRequest parse_generate_request(const JsonValue& body);

struct BatchGenerateRequest {
  std::vector<std::string> prompts;
  GenerateRequest shared;  // but for its prompt
};
BatchGenerateRequest parse_batch_generate_request(const JsonValue& body, int max_prompts);

// {"generated_text":…,"prompt":…,"generation_time":…,"token_count":…,"model_info":{…},"finish_reason":…,"usage":{…},"cached":false}
// and "reasoning" where there was any, "timed_out":true where the time limit ended it.
std::string generate_answer_json(const std::string& prompt, const Completion& completion, const ModelInfo& model);

// The same as members of an open object.
void write_generate_answer(JsonWriter& json, const std::string& prompt, const Completion& completion,
                           const ModelInfo& model);
void write_model_info(JsonWriter& json, const ModelInfo& model);  // the member "model_info"
void write_native_usage(JsonWriter& json, const Usage& usage);    // the member "usage"

// max_length and the two names that users of other services type for it. Errors: kInvalidValue, also where they differ.
std::optional<MaxLength> read_max_length(FieldReader& fields);

// stop, length, cancelled: SPEC's words. That a time limit cancelled it is told by write_native_end.
std::string native_finish_reason(FinishReason reason);
void write_native_end(JsonWriter& json, const Completion& completion);  // "finish_reason", and "timed_out" where true

}  // namespace qwen
