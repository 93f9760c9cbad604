// The native routes' requests and answers as the deployment guide names their fields, to and from JSON.
#pragma once

#include <optional>
#include <string>

#include "server/api/sampling_fields.h"
#include "server/text_stream.h"

namespace qwen {

struct ModelInfo;

struct GenerateRequest {
  std::string prompt;
  std::optional<std::string> system;
  SamplingFields sampling;
  std::optional<int> max_length;  // most new tokens
  bool do_sample = true;          // false: greedy
  bool stream = false;
  bool thinking = false;  // false: the prompt closes the thought, the answer comes at once
  bool raw = false;       // the prompt as it stands
};

// Errors: kInvalidValue and kUnknownField naming the field.
GenerateRequest parse_generate_request(const JsonValue& body);

// {"generated_text":…,"prompt":…,"generation_time":…,"token_count":…,"model_info":{…},"finish_reason":…,"usage":{…},"cached":false}
// and "reasoning" where there was any.
std::string generate_answer_json(const std::string& prompt, const Completion& completion, const ModelInfo& model);

std::string native_finish_reason(FinishReason reason);  // stop, length, cancelled

}  // namespace qwen
