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

// none: bf16 throughout. int8: the linear layers as one byte a weight and an f32 scale per output. int4: as four bits a
// weight, and an f16 scale and zero point per 128 inputs. Embedding, head and norms stay bf16; a tied head is counted
// once.
std::vector<FormatEstimate> estimate_weights(const ModelConfig& config);

// All layers; `dtype`: bf16, or int8 with an f32 scale for each head and 128 of its dimensions.
int64_t kv_bytes_per_token(const ModelConfig& config, DType dtype);

}  // namespace qwen
