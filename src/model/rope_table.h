// Cosines and sines of the rotary embedding, computed in double on the host from exact integer positions.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "model/model_config.h"

namespace qwen {

// Angle per position of each of the head_dim / 2 pairs, YaRN applied. Source: transformers' modeling_rope_utils, Peng
// et al. 2023.
std::vector<double> rope_inverse_frequencies(const ModelConfig& config);

struct RopeTable {
  Tensor cos, sin;  // f32 [max_positions, head_dim / 2]; YaRN's attention factor multiplied in

  static uint64_t size_bytes(const ModelConfig& config, int max_positions);
  RopeTable(Backend& backend, const ModelConfig& config, int max_positions);
};

}  // namespace qwen
