// See step_cost.h.
#include "commands/step_cost.h"

namespace qwen {

int64_t layer_values(const ModelConfig& c) {
  return c.num_hidden_layers *
         (c.hidden_size * (2 * c.q_size() + 2 * c.kv_size()) + 3 * c.hidden_size * c.intermediate_size);
}

int64_t head_values(const ModelConfig& c) { return c.vocab_size * c.hidden_size; }

StepCost::StepCost(const ModelConfig& c, int64_t weight_bytes, int64_t kv_bytes_per_token)
    : layer_values_(layer_values(c)),
      head_values_(head_values(c)),
      attention_width_(c.num_hidden_layers * c.q_size()),
      weight_bytes_(weight_bytes),
      kv_bytes_per_token_(kv_bytes_per_token) {}

double StepCost::decode_bytes(int sequences, int64_t context) const {
  return static_cast<double>(weight_bytes_) +
         static_cast<double>(sequences) * static_cast<double>(context + 1) * static_cast<double>(kv_bytes_per_token_);
}

double StepCost::decode_operations(int sequences, int64_t context) const {
  return sequences * (2 * static_cast<double>(layer_values_ + head_values_) +
                      4 * static_cast<double>(attention_width_) * static_cast<double>(context + 1));
}

double StepCost::prefill_operations(int64_t tokens, int64_t depth) const {
  const double n = static_cast<double>(tokens);
  const double linear = 2 * static_cast<double>(layer_values_) * n + 2 * static_cast<double>(head_values_);
  const double pairs = n * static_cast<double>(depth) + n * (n + 1) / 2;  // query and key, causal
  return linear + 4 * static_cast<double>(attention_width_) * pairs;      // scores, then the weighted sum of values
}

}  // namespace qwen
