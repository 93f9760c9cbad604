// See qwen3.h.
#include "model/qwen3.h"

#include <utility>

#include "base/error.h"

namespace qwen {

Qwen3Model::Qwen3Model(WeightLoader& loader, const ModelConfig& config, std::unique_ptr<Backend> backend,
                       const ModelOptions& options)
    : config_(config),
      options_(options),
      backend_(std::move(backend)),
      rope_(*backend_, config, options.max_positions),
      workspace_(*backend_, config, options.max_batched_tokens, options.max_logit_rows, options.formats) {
  // The largest first, while there is little in memory beside the pages that they are read from.
  embed_tokens_.weight = loader.head("model.embed_tokens", config.hidden_size);
  if (!config.tie_word_embeddings) untied_head_.weight = loader.head("lm_head", config.hidden_size);
  layers_.reserve(static_cast<size_t>(config.num_hidden_layers));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string prefix = str("model.layers.", i, ".");
    DecoderLayer layer;
    layer.input_layernorm = loader.vector({prefix + "input_layernorm.weight"}, config.hidden_size);
    layer.self_attn = Attention::load(loader, config, i);
    layer.post_attention_layernorm = loader.vector({prefix + "post_attention_layernorm.weight"}, config.hidden_size);
    layer.mlp = Mlp::load(loader, config, i);
    layers_.push_back(std::move(layer));
  }
  norm_ = loader.vector({"model.norm.weight"}, config.hidden_size);
}

size_t Qwen3Model::weight_bytes() const {
  size_t bytes = lm_head().weight.buffer.size_bytes();
  for (const DecoderLayer& layer : layers_) {
    for (const Linear* linear :
         {&layer.self_attn.qkv_proj, &layer.self_attn.o_proj, &layer.mlp.gate_up_proj, &layer.mlp.down_proj})
      bytes += linear->weight.buffer.size_bytes();
  }
  return bytes;
}

const Tensor& Qwen3Model::forward(const BatchInput& batch, KvCache& cache) {
  const int rows = batch.num_tokens();
  const int logit_rows = static_cast<int>(batch.logit_rows.size());
  QWEN_CHECK(rows <= options_.max_batched_tokens && logit_rows <= options_.max_logit_rows);
  const AttentionMetadata metadata{batch.query_start, batch.context_lens, batch.block_tables, batch.max_blocks};
  const float eps = static_cast<float>(config_.rms_norm_eps);
  Workspace& w = workspace_;

  backend_->embed(w.residual, embed_tokens_.weight, batch.token_ids);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const DecoderLayer& layer = layers_[i];
    layer.self_attn.qkv_proj.will_read(*backend_, w.normed);
    if (i == 0) {
      backend_->rms_norm(w.normed, w.residual, layer.input_layernorm, eps, rows);
    } else {
      backend_->add_rms_norm(w.normed, w.residual, w.delta, layer.input_layernorm, eps, rows);
    }
    layer.self_attn.forward(*backend_, w, batch, metadata, rope_, cache.layer(static_cast<int>(i)));
    layer.mlp.gate_up_proj.will_read(*backend_, w.normed);
    backend_->add_rms_norm(w.normed, w.residual, w.delta, layer.post_attention_layernorm, eps, rows);
    layer.mlp.forward(*backend_, w, rows);
    report_progress();
  }
  if (logit_rows > 0) {
    backend_->gather_rows(w.last_residual, w.residual, batch.logit_rows);
    backend_->gather_rows(w.last_delta, w.delta, batch.logit_rows);
    lm_head().will_read(*backend_, w.last_normed);
    backend_->add_rms_norm(w.last_normed, w.last_residual, w.last_delta, norm_, eps, logit_rows);
    lm_head().forward(*backend_, w.logits, w.last_normed, logit_rows);
  }
  return w.logits;
}

}  // namespace qwen
