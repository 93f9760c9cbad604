// The forward pass over fixed token sequences, one linear module's input at a time, so that what is chosen for a module
// is in force when the next one's inputs are measured. What a layer leaves behind is kept for all sequences: memory
// grows with the tokens, not with the layers.
//
// Per layer: begin_layer(), then for each input in order add up_inputs() and advance() with the weights to go on with.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/token_id.h"
#include "model/model_config.h"
#include "model/module_stacks.h"
#include "model/rope_table.h"
#include "model/weight_loader.h"
#include "weights/checkpoint.h"

namespace qwen {

class LayerCalibrator {
 public:
  // Embeds the sequences: at least one, of at least one token, none longer than the model was made for, ids inside its
  // vocabulary. `on_progress` is called after every sequence of every pass; what it throws ends the pass. References
  // outlive the calibrator. Errors: kBadData, kOs.
  LayerCalibrator(const Checkpoint& checkpoint, const ModelConfig& config, Backend& backend,
                  std::span<const std::vector<TokenId>> sequences, std::function<void()> on_progress);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t input_size(LayerInput input) const { return qwen::input_size(config_, input); }

  void begin_layer(int64_t layer);
  // Σ x·xᵀ over all tokens: [n, n], the lower triangle, in host memory until the next call.
  std::span<const float> gram(LayerInput input);
  // Goes on to the next input, through the modules' weights [out, n] in the order of modules_of.
  void advance(LayerInput input, std::span<const HostMatrix> weights);

 private:
  struct Sequence {
    int rows;
    Tensor residual;
    MatmulInput output;  // of attention, from there to o; then of the activation, from there to down
  };
  struct Layer {
    Tensor input_layernorm, post_attention_layernorm, q_norm, k_norm;
    std::optional<Tensor> qkv_bias, o_bias;
  };

  void embed(std::span<const std::vector<TokenId>> sequences);
  void allocate_output(Sequence& sequence, int64_t cols);
  void attend(Sequence& sequence, const Matrix& qkv_proj);
  const MatmulInput& input_of(LayerInput input, const Sequence& sequence);

  const ModelConfig& config_;
  Backend& backend_;
  const std::function<void()> on_progress_;
  WeightLoader loader_;
  const RopeTable rope_;
  std::vector<Sequence> sequences_;
  int64_t num_tokens_ = 0;
  Layer layer_;
  // Of one sequence at a time.
  MatmulInput normed_;
  Tensor qkv_, gate_up_, delta_, gram_;
  KvLayer kv_;
  std::vector<float> scratch_;
};

}  // namespace qwen
