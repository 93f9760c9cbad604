#include "commands/step_cost.h"

namespace qwen {

StepCost::StepCost(const ModelConfig& c, int weight_bytes_per_value, int64_t kv_bytes_per_token)
    : layer_weights_(c.num_hidden_layers *
                     (c.hidden_size * (2 * c.q_size() + 2 * c.kv_size()) + 3 * c.hidden_size * c.intermediate_size)),
      head_weights_(c.vocab_size * c.hidden_size),
      attention_width_(c.num_hidden_layers * c.q_size()),
      weight_bytes_per_value_(weight_bytes_per_value),
      kv_bytes_per_token_(kv_bytes_per_token) {}

double StepCost::decode_bytes(int sequences, int64_t context) const {
  return static_cast<double>(layer_weights_ + head_weights_) * weight_bytes_per_value_ +
         static_cast<double>(sequences) * static_cast<double>(context + 1) * static_cast<double>(kv_bytes_per_token_);
}

double StepCost::prefill_flops(int64_t tokens, int64_t depth) const {
  const double n = static_cast<double>(tokens);
  const double linear = 2 * static_cast<double>(layer_weights_) * n + 2 * static_cast<double>(head_weights_);
  const double pairs = n * static_cast<double>(depth) + n * (n + 1) / 2;  // query and key, causal
  return linear + 4 * static_cast<double>(attention_width_) * pairs;      // scores, then the weighted sum of values
}

}  // namespace qwen
