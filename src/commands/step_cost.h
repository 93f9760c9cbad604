// How much a forward pass has to read and to compute: the roofline's two axes.
#pragma once

#include <cstdint>

#include "model/model_config.h"

namespace qwen {

// Numbers in the matrices that a step reads whole: the linear layers of all layers, and the head (a tied one is the
// embedding).
int64_t layer_values(const ModelConfig& config);
int64_t head_values(const ModelConfig& config);

class StepCost {
 public:
  // `weight_bytes`: of those matrices, as the backend keeps them. `kv_bytes_per_token`: of all layers.
  StepCost(const ModelConfig& config, int64_t weight_bytes, int64_t kv_bytes_per_token);

  // A step in which every one of `sequences` appends one token after `context` others: all layers and the head once,
  // each sequence's keys and values once.
  double decode_bytes(int sequences, int64_t context) const;
  // The same step's multiplications and additions.
  double decode_operations(int sequences, int64_t context) const;

  // Appending `tokens` to one sequence that holds `depth`: linear layers, attention, and the head for the last
  // position.
  double prefill_operations(int64_t tokens, int64_t depth) const;

 private:
  int64_t layer_values_;
  int64_t head_values_;
  int64_t attention_width_;  // layers · num_attention_heads · head_dim
  int64_t weight_bytes_;
  int64_t kv_bytes_per_token_;
};

}  // namespace qwen
