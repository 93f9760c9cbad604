// The feed-forward block: down(silu(gate(x)) ⊙ up(x)).
#pragma once

#include "model/layers/linear.h"
#include "model/weight_loader.h"
#include "model/workspace.h"

namespace qwen {

struct Mlp {
  Linear gate_up_proj;  // gate and up stacked: [2 · intermediate_size, hidden_size]
  Linear down_proj;     // [hidden_size, intermediate_size]

  static Mlp load(WeightLoader& loader, const ModelConfig& config, int64_t layer);
  // workspace.normed → workspace.delta
  void forward(Backend& backend, Workspace& workspace, int rows) const;
};

}  // namespace qwen
