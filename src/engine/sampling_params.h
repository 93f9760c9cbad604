// How the next token is chosen. Names and meaning as in vLLM and Hugging Face's generation_config.json.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/token_id.h"

namespace qwen {

struct SamplingParams {
  float temperature = 1.0f;         // 0 = greedy: the most likely token, lowest id on a tie
  int top_k = 0;                    // keep the k most likely; 0 = all
  float top_p = 1.0f;               // keep the smallest set whose probability reaches p; (0, 1]
  float min_p = 0.0f;               // drop what is less likely than min_p · the most likely; [0, 1]
  float repetition_penalty = 1.0f;  // > 0; over prompt and output
  float presence_penalty = 0.0f;    // [-2, 2]; over the output
  float frequency_penalty = 0.0f;   // [-2, 2]; over the output
  uint64_t seed = 0;                // the draw at a position depends on (seed, position) alone
  std::vector<std::pair<TokenId, float>> logit_bias;

  int max_tokens = 16;  // most new tokens
  int min_tokens = 0;   // stop tokens are masked before
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids;  // includes the model's EOS ids unless ignore_eos
};

}  // namespace qwen
