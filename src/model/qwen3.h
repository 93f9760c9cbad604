// Qwen3ForCausalLM, written once over Backend.
#pragma once

#include <memory>
#include <vector>

#include "model/causal_lm.h"
#include "model/layers/attention.h"
#include "model/layers/mlp.h"
#include "model/registry.h"
#include "model/rope_table.h"
#include "model/workspace.h"

namespace qwen {

class Qwen3Model : public CausalLm {
 public:
  // Memory was asked for before: see registry.h.
  Qwen3Model(WeightLoader& loader, const ModelConfig& config, std::unique_ptr<Backend> backend,
             const ModelOptions& options);

  const ModelConfig& config() const override { return config_; }
  Backend& backend() override { return *backend_; }
  size_t weight_bytes() const override;
  int max_batched_tokens() const override { return options_.max_batched_tokens; }
  int max_logit_rows() const override { return options_.max_logit_rows; }
  int max_positions() const override { return options_.max_positions; }
  const Tensor& forward(const BatchInput& batch, KvCache& cache) override;

 private:
  struct DecoderLayer {
    Tensor input_layernorm;  // [hidden_size]
    Attention self_attn;
    Tensor post_attention_layernorm;  // [hidden_size]
    Mlp mlp;
  };

  const Linear& lm_head() const { return config_.tie_word_embeddings ? embed_tokens_ : untied_head_; }

  ModelConfig config_;
  ModelOptions options_;
  std::unique_ptr<Backend> backend_;  // outlives everything below, which is its memory
  Linear embed_tokens_;               // [vocab_size, hidden_size]; also the head where tied
  std::vector<DecoderLayer> layers_;
  Tensor norm_;         // [hidden_size]
  Linear untied_head_;  // [vocab_size, hidden_size]; empty where tied
  RopeTable rope_;
  Workspace workspace_;
};

}  // namespace qwen
