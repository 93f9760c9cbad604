// Grouped-query attention with per-head norms of queries and keys before the rotary embedding, over a paged cache.
#pragma once

#include "model/batch_input.h"
#include "model/layers/linear.h"
#include "model/rope_table.h"
#include "model/weight_loader.h"
#include "model/workspace.h"

namespace qwen {

struct Attention {
  HeadShape heads;
  float eps = 0;
  Linear qkv_proj;        // q, k and v stacked: [q_size + 2 · kv_size, hidden_size]
  Tensor q_norm, k_norm;  // [head_dim], shared by all heads
  Linear o_proj;          // [hidden_size, q_size]

  static Attention load(WeightLoader& loader, const ModelConfig& config, int64_t layer);
  // workspace.normed → workspace.delta; stores the keys and values of the batch in `kv` first.
  void forward(Backend& backend, Workspace& workspace, const BatchInput& batch, const AttentionMetadata& metadata,
               const RopeTable& rope, KvLayer& kv) const;
};

}  // namespace qwen
