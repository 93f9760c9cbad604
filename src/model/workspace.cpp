// See workspace.h.
#include "model/workspace.h"

namespace qwen {

Workspace::Workspace(Backend& backend, const ModelConfig& config, int max_tokens, int max_logit_rows,
                     const WeightFormats& formats) {
  const auto floats = [&](int rows, int64_t cols) { return backend.alloc(DType::kF32, {rows, cols}); };
  const auto input = [&](int rows, int64_t cols) {
    return backend.alloc_matmul_input(rows, static_cast<int>(cols), formats.linear);
  };
  residual = floats(max_tokens, config.hidden_size);
  delta = floats(max_tokens, config.hidden_size);
  normed = input(max_tokens, config.hidden_size);
  qkv = floats(max_tokens, config.q_size() + 2 * config.kv_size());
  context = input(max_tokens, config.q_size());
  gate_up = floats(max_tokens, 2 * config.intermediate_size);
  act = input(max_tokens, config.intermediate_size);
  last_residual = floats(max_logit_rows, config.hidden_size);
  last_delta = floats(max_logit_rows, config.hidden_size);
  last_normed = backend.alloc_matmul_input(max_logit_rows, static_cast<int>(config.hidden_size), formats.head);
  logits = floats(max_logit_rows, config.vocab_size);
}

uint64_t Workspace::size_bytes(const ModelConfig& config, int max_tokens, int max_logit_rows) {
  const auto per_token = static_cast<uint64_t>(3 * config.hidden_size + 2 * config.q_size() + 2 * config.kv_size() +
                                               3 * config.intermediate_size);
  const auto per_logit_row = static_cast<uint64_t>(3 * config.hidden_size + config.vocab_size);
  return sizeof(float) *
         (per_token * static_cast<uint64_t>(max_tokens) + per_logit_row * static_cast<uint64_t>(max_logit_rows));
}

}  // namespace qwen
