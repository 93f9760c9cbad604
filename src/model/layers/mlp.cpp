// See mlp.h.
#include "model/layers/mlp.h"

#include "model/module_stacks.h"

namespace qwen {

Mlp Mlp::load(WeightLoader& loader, const ModelConfig& config, int64_t layer) {
  Mlp mlp;
  mlp.gate_up_proj.weight = loader.matrix(modules_of(LayerInput::kGateUp, layer), config.hidden_size);
  mlp.down_proj.weight = loader.matrix(modules_of(LayerInput::kDown, layer), config.intermediate_size);
  return mlp;
}

void Mlp::forward(Backend& backend, Workspace& workspace, int rows) const {
  gate_up_proj.forward(backend, workspace.gate_up, workspace.normed, rows);
  down_proj.will_read(backend, workspace.act);
  backend.silu_and_mul(workspace.act, workspace.gate_up, rows);
  down_proj.forward(backend, workspace.delta, workspace.act, rows);
}

}  // namespace qwen
