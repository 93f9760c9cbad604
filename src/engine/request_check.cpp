// See request_check.h.
#include "engine/request_check.h"

#include <cmath>
#include <string>

#include "base/error.h"

namespace qwen {

namespace {

template <typename Value>
void require(bool valid, const char* field, Value value, const char* allowed) {
  if (!valid) throw Error(ErrorCode::kInvalidValue, str(field, " is ", value, " but must be ", allowed), field);
}

// Written so that NaN is not between anything.
bool between(float value, float low, float high) { return value >= low && value <= high; }

void check_sampling(const SamplingParams& sampling, int vocab_size) {
  require(sampling.temperature >= 0 && std::isfinite(sampling.temperature), "temperature", sampling.temperature,
          "a number from 0");
  require(sampling.top_k >= 0, "top_k", sampling.top_k, "0 (off) or more");
  require(sampling.top_p > 0 && sampling.top_p <= 1, "top_p", sampling.top_p, "above 0 and at most 1");
  require(between(sampling.min_p, 0, 1), "min_p", sampling.min_p, "from 0 to 1");
  require(between(sampling.repetition_penalty, 0.01f, 100), "repetition_penalty", sampling.repetition_penalty,
          "from 0.01 to 100");
  require(between(sampling.presence_penalty, -100, 100), "presence_penalty", sampling.presence_penalty,
          "from -100 to 100");
  require(between(sampling.frequency_penalty, -100, 100), "frequency_penalty", sampling.frequency_penalty,
          "from -100 to 100");
  for (const auto& [id, bias] : sampling.logit_bias) {
    require(id >= 0 && id < vocab_size, "logit_bias", id, "given for ids of the vocabulary");
    require(between(bias, -1000, 1000), "logit_bias", bias, "from -1000 to 1000");
  }
  require(sampling.max_tokens >= 1, "max_tokens", sampling.max_tokens, "at least 1");
}

}  // namespace

void check_request(const GenerationRequest& request, int max_model_len, int vocab_size) {
  if (request.prompt.empty()) throw Error(ErrorCode::kInvalidValue, "the prompt has no tokens", "prompt");
  if (request.prompt.size() >= static_cast<size_t>(max_model_len)) {
    throw Error(ErrorCode::kContextLengthExceeded,
                str("the prompt has ", request.prompt.size(), " tokens but at most ", max_model_len - 1,
                    " leave room for an answer; shorten it"),
                "prompt");
  }
  for (const TokenId id : request.prompt)
    require(id >= 0 && id < vocab_size, "prompt", id, "made of ids of the vocabulary");
  check_sampling(request.sampling, vocab_size);
}

}  // namespace qwen
