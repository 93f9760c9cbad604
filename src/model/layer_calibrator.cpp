#include "model/layer_calibrator.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace qwen {
namespace {

int longest_of(std::span<const std::vector<TokenId>> sequences) {
  size_t longest = 0;
  for (const auto& ids : sequences) longest = std::max(longest, ids.size());
  QWEN_CHECK(longest > 0);
  return static_cast<int>(longest);
}

const WeightFormats kPlain;

}  // namespace

LayerCalibrator::LayerCalibrator(const Checkpoint& checkpoint, const ModelConfig& config, Backend& backend,
                                 std::span<const std::vector<TokenId>> sequences, std::function<void()> on_progress)
    : config_(config),
      backend_(backend),
      on_progress_(std::move(on_progress)),
      loader_(checkpoint, config.quantization, kPlain, backend, 0, {}),
      rope_(backend, config, longest_of(sequences)) {
  const int longest = longest_of(sequences);
  normed_ = backend.alloc_matmul_input(longest, static_cast<int>(config.hidden_size), {});
  qkv_ = backend.alloc(DType::kF32, {longest, config.heads().qkv_size()});
  gate_up_ = backend.alloc(DType::kF32, {longest, 2 * config.intermediate_size});
  delta_ = backend.alloc(DType::kF32, {longest, config.hidden_size});
  const int block = backend.kv_block_size();
  kv_ = backend.alloc_kv(backend.kv_dtype(), (longest + block - 1) / block, block, config.heads());
  embed(sequences);
}

void LayerCalibrator::embed(std::span<const std::vector<TokenId>> sequences) {
  const Matrix table = loader_.head("model.embed_tokens", config_.hidden_size);
  for (const std::vector<TokenId>& ids : sequences) {
    const int rows = static_cast<int>(ids.size());
    if (rows == 0) continue;
    Sequence sequence{rows, backend_.alloc(DType::kF32, {rows, config_.hidden_size}), {}};
    backend_.embed(sequence.residual, table, ids);
    sequences_.push_back(std::move(sequence));
    num_tokens_ += rows;
  }
}

void LayerCalibrator::begin_layer(int64_t layer) {
  const std::string prefix = str("model.layers.", layer, '.'), attention = prefix + "self_attn.";
  const int64_t hidden = config_.hidden_size;
  layer_ = {};
  layer_.input_layernorm = loader_.vector({prefix + "input_layernorm.weight"}, hidden);
  layer_.post_attention_layernorm = loader_.vector({prefix + "post_attention_layernorm.weight"}, hidden);
  layer_.q_norm = loader_.vector({attention + "q_norm.weight"}, config_.head_dim);
  layer_.k_norm = loader_.vector({attention + "k_norm.weight"}, config_.head_dim);
  if (!config_.attention_bias) return;
  layer_.qkv_bias = loader_.vector({attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias"},
                                   config_.heads().qkv_size());
  layer_.o_bias = loader_.vector({attention + "o_proj.bias"}, hidden);
}

const MatmulInput& LayerCalibrator::input_of(LayerInput input, const Sequence& sequence) {
  const float eps = static_cast<float>(config_.rms_norm_eps);
  switch (input) {
    case LayerInput::kO:
    case LayerInput::kDown:
      return sequence.output;
    case LayerInput::kQkv:
      backend_.rms_norm(normed_, sequence.residual, layer_.input_layernorm, eps, sequence.rows);
      break;
    case LayerInput::kGateUp:
      backend_.rms_norm(normed_, sequence.residual, layer_.post_attention_layernorm, eps, sequence.rows);
      break;
  }
  return normed_;
}

std::span<const float> LayerCalibrator::gram(LayerInput input) {
  const int64_t n = input_size(input);
  gram_ = {};
  gram_ = backend_.alloc(DType::kF32, {n, n});
  for (const Sequence& sequence : sequences_) {
    backend_.add_gram(gram_, input_of(input, sequence), sequence.rows);
    on_progress_();
  }
  return backend_.read_f32(gram_, static_cast<int>(n), scratch_);
}

void LayerCalibrator::attend(Sequence& sequence, const Matrix& qkv_proj) {
  const int rows = sequence.rows;
  std::vector<int32_t> positions(static_cast<size_t>(rows)), blocks(static_cast<size_t>(kv_.num_blocks));
  std::iota(positions.begin(), positions.end(), 0);
  std::iota(blocks.begin(), blocks.end(), 0);
  const std::array<int32_t, 2> query_start = {0, rows};
  const std::array<int32_t, 1> context_lens = {rows};
  const float eps = static_cast<float>(config_.rms_norm_eps);
  backend_.matmul(qkv_, input_of(LayerInput::kQkv, sequence), qkv_proj, layer_.qkv_bias ? &*layer_.qkv_bias : nullptr,
                  rows);
  backend_.qk_norm_rope(qkv_, config_.heads(), layer_.q_norm, layer_.k_norm, eps, rope_.cos, rope_.sin, positions);
  backend_.store_kv(kv_, qkv_, positions);
  allocate_output(sequence, config_.q_size());
  backend_.paged_attention(sequence.output, qkv_, kv_, {query_start, context_lens, blocks, kv_.num_blocks});
}

// What was there has been read: its memory goes first.
void LayerCalibrator::allocate_output(Sequence& sequence, int64_t cols) {
  sequence.output = {};
  sequence.output = backend_.alloc_matmul_input(sequence.rows, static_cast<int>(cols), {});
}

void LayerCalibrator::advance(LayerInput input, std::span<const HostMatrix> weights) {
  const Matrix weight = backend_.prepare(weights, {});
  const float eps = static_cast<float>(config_.rms_norm_eps);
  for (Sequence& sequence : sequences_) {
    switch (input) {
      case LayerInput::kQkv:
        attend(sequence, weight);
        break;
      case LayerInput::kGateUp:
        backend_.matmul(gate_up_, input_of(input, sequence), weight, nullptr, sequence.rows);
        allocate_output(sequence, config_.intermediate_size);
        backend_.silu_and_mul(sequence.output, gate_up_, sequence.rows);
        break;
      case LayerInput::kO:
      case LayerInput::kDown: {
        const Tensor* const bias = input == LayerInput::kO && layer_.o_bias ? &*layer_.o_bias : nullptr;
        backend_.matmul(delta_, input_of(input, sequence), weight, bias, sequence.rows);
        // Adds to the residual stream; the norm that comes with it is of no interest.
        backend_.add_rms_norm(normed_, sequence.residual, delta_, layer_.input_layernorm, eps, sequence.rows);
        break;
      }
    }
    on_progress_();
  }
}

}  // namespace qwen
