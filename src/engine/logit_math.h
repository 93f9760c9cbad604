// Passes over one row of logits, vectorised by hand: a vocabulary has 150,000 entries and every generated token pays
// for them. The order of every sum is a function of the length alone, so results are reproducible bit for bit.
#pragma once

#include <span>

namespace qwen {

struct LogitStats {
  float max = 0;        // of finite rows; meaningless otherwise
  bool finite = false;  // no NaN, no infinity
};

LogitStats logit_stats(std::span<const float> logits);

float max_logit(std::span<const float> logits);  // -inf entries allowed, no NaN

// log Σ exp(logits[i]); `max` is their maximum.
float log_sum_exp(std::span<const float> logits, float max);

// weights[i] = exp((logits[i] - max) · scale); returns their sum. logits[i] ≤ max, -inf gives 0; scale > 0.
double exp_weights(std::span<float> weights, std::span<const float> logits, float max, float scale);

}  // namespace qwen
