// Every buffer that a step writes, sized once, so that nothing allocates while the model runs.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "model/model_config.h"
#include "model/weight_formats.h"

namespace qwen {

struct Workspace {
  // --- One row per token of the batch: [max_tokens, …]
  Tensor residual;      // [hidden_size] the stream that layers add to
  Tensor delta;         // [hidden_size] what the last sub-layer adds; not yet in `residual`
  MatmulInput normed;   // [hidden_size]
  Tensor qkv;           // [q_size + 2 · kv_size]
  MatmulInput context;  // [q_size] the heads' outputs
  Tensor gate_up;       // [2 · intermediate_size]
  MatmulInput act;      // [intermediate_size]
  // --- One row per wanted row of logits: [max_logit_rows, …]
  Tensor last_residual, last_delta;  // [hidden_size]
  MatmulInput last_normed;           // [hidden_size]
  Tensor logits;                     // [vocab_size]

  Workspace(Backend& backend, const ModelConfig& config, int max_tokens, int max_logit_rows,
            const WeightFormats& formats);
  // Roughly: MatmulInput is counted as f32.
  static uint64_t size_bytes(const ModelConfig& config, int max_tokens, int max_logit_rows);
};

}  // namespace qwen
