// How much a forward pass has to read and to compute: the roofline's two axes.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "model/model_config.h"

namespace qwen {

class StepCost {
 public:
  // `weight_bytes_per_value`: as the backend keeps matrices, 2 for bf16.
  StepCost(const ModelConfig& config, int weight_bytes_per_value, int64_t kv_bytes_per_token);

  // A step in which every one of `sequences` appends one token after `context` others: all layers and the head once,
  // each sequence's keys and values once.
  double decode_bytes(int sequences, int64_t context) const;

  // Appending `tokens` to one sequence that holds `depth`: linear layers, attention, and the head for the last
  // position.
  double prefill_flops(int64_t tokens, int64_t depth) const;

 private:
  int64_t layer_weights_;  // values in the linear layers of all layers
  int64_t head_weights_;
  int64_t attention_width_;  // layers · num_attention_heads · head_dim
  int weight_bytes_per_value_;
  int64_t kv_bytes_per_token_;
};

}  // namespace qwen
