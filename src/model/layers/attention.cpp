// See attention.h.
#include "model/layers/attention.h"

#include "base/error.h"
#include "model/module_stacks.h"

namespace qwen {

Attention Attention::load(WeightLoader& loader, const ModelConfig& config, int64_t layer) {
  const std::string prefix = str("model.layers.", layer, ".self_attn.");
  Attention attention;
  attention.heads = config.heads();
  attention.eps = static_cast<float>(config.rms_norm_eps);
  attention.qkv_proj.weight = loader.matrix(modules_of(LayerInput::kQkv, layer), config.hidden_size);
  attention.o_proj.weight = loader.matrix(modules_of(LayerInput::kO, layer), config.q_size());
  if (config.attention_bias) {
    attention.qkv_proj.bias = loader.vector({prefix + "q_proj.bias", prefix + "k_proj.bias", prefix + "v_proj.bias"},
                                            attention.heads.qkv_size());
    attention.o_proj.bias = loader.vector({prefix + "o_proj.bias"}, config.hidden_size);
  }
  attention.q_norm = loader.vector({prefix + "q_norm.weight"}, config.head_dim);
  attention.k_norm = loader.vector({prefix + "k_norm.weight"}, config.head_dim);
  return attention;
}

void Attention::forward(Backend& backend, Workspace& workspace, const BatchInput& batch,
                        const AttentionMetadata& metadata, const RopeTable& rope, KvLayer& kv) const {
  const int rows = batch.num_tokens();
  qkv_proj.forward(backend, workspace.qkv, workspace.normed, rows);
  backend.qk_norm_rope(workspace.qkv, heads, q_norm, k_norm, eps, rope.cos, rope.sin, batch.positions);
  backend.store_kv(kv, workspace.qkv, batch.slot_mapping);
  o_proj.will_read(backend, workspace.context);
  backend.paged_attention(workspace.context, workspace.qkv, kv, metadata);
  o_proj.forward(backend, workspace.delta, workspace.context, rows);
}

}  // namespace qwen
