// POST /thinking as the deployment guide names its fields, to and from JSON.
#pragma once

#include <optional>
#include <string>

#include "server/api/native_types.h"
#include "server/api/sampling_fields.h"
#include "server/api/thinking_fields.h"
#include "server/text_stream.h"

namespace qwen {

struct ModelInfo;

struct DeepThinkingRequest {
  std::string question;  // not empty
  std::optional<std::string> context, system;
  int thinking_depth = 3;  // 1…10
  bool include_reasoning = true;
  SamplingFields sampling;
  ThinkingFields limits;
  std::optional<MaxLength> max_length;  // of the answer, the thought not counted
  bool do_sample = true;                // false: greedy
  bool stream = false;
};

// Errors: kInvalidValue and kUnknownField naming the field; UnsupportedError for num_paths above 1.
DeepThinkingRequest parse_thinking_request(const JsonValue& body);

// The user's turn: the context, a blank line, the question.
std::string thinking_prompt(const DeepThinkingRequest& request);

// {"question":…,"thinking_process":…,"final_answer":…,"reasoning_steps":[…],"confidence_score":…,"processing_time":…,
// "thinking":{"tokens":…,"budget":…,"ended_by":…},"confidence_method":…,"finish_reason":…,"usage":{…},"model_info":{…}}
// and "timed_out":true where the time limit ended it. The budget is -1 where there was none. Without include_reasoning
// the thought is "" and [].
std::string thinking_answer_json(const DeepThinkingRequest& request, const Completion& completion,
                                 const ModelInfo& model);

}  // namespace qwen
