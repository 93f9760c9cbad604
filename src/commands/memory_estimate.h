// What a model needs in memory, from its config alone: weights per format and keys and values per token.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/model_config.h"

namespace qwen {

struct FormatEstimate {
  std::string_view format;  // as QUANTIZATION_FORMAT spells it
  int64_t weight_bytes = 0;
};

// What serving with fast kernels takes, about: int8 and int4 weights with the scales of their groups, all else bf16;
// the integers of a GPTQ or AWQ folder as the folder has them, in any format, and a folder of `quantize` as it is. A
// tied head is counted once.
std::vector<FormatEstimate> estimate_weights(const ModelConfig& config);

// All layers; `dtype`: bf16, or int8 with an f32 scale for each head and 128 of its dimensions.
int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype);

}  // namespace qwen
