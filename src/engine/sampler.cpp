// See sampler.h.
#include "engine/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/logit_math.h"
#include "engine/logit_processors.h"
#include "engine/philox.h"

namespace qwen {

namespace {

bool leaves_logits_alone(const Sequence& sequence, const TokenMask& mask) {
  const SamplingParams& sampling = sequence.sampling();
  return sampling.logit_bias.empty() && sequence.token_counts().empty() &&
         sequence.num_output_tokens() >= sampling.min_tokens && mask.allowed.empty() && mask.barred.empty();
}

bool is_stop(const SamplingParams& sampling, TokenId id) {
  return std::find(sampling.stop_token_ids.begin(), sampling.stop_token_ids.end(), id) != sampling.stop_token_ids.end();
}

TokenId first_with(std::span<const float> logits, float value) {
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), value) - logits.begin());
}

// Bounded, so that a temperature of 1e-40 is greedy and not NaN.
float inverse(float temperature) { return std::min(1.0f / temperature, 1e30f); }

// The candidates' weights in place; returns their sum.
double weigh(std::vector<Candidate>& candidates, float max, float scale, std::vector<float>& scratch) {
  scratch.resize(2 * candidates.size());
  const std::span<float> logits = std::span(scratch).first(candidates.size());
  const std::span<float> weights = std::span(scratch).last(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) logits[i] = candidates[i].logit;
  const double total = exp_weights(weights, logits, max, scale);
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].weight = weights[i];
  return total;
}

}  // namespace

SampledToken Sampler::sample(std::span<const float> logits, const Sequence& sequence) {
  QWEN_CHECK(logits.size() >= static_cast<size_t>(num_valid_tokens_));
  logits = logits.first(static_cast<size_t>(num_valid_tokens_));
  const LogitStats stats = logit_stats(logits);
  if (!stats.finite) return {-1, 0, "numerical error: the model produced logits that are not finite"};
  const TokenMask mask = sequence.constraint() != nullptr ? sequence.constraint()->mask() : TokenMask{};
  TokenId id = mask.forced;
  if (id < 0) {
    std::span<const float> adjusted = logits;
    if (!leaves_logits_alone(sequence, mask)) {
      adjusted_.assign(logits.begin(), logits.end());
      apply_logit_processors(adjusted_, sequence, mask);
      adjusted = adjusted_;
    }
    id = choose(adjusted, sequence.sampling(), sequence.num_tokens());
    if (mask.stop_becomes >= 0 && is_stop(sequence.sampling(), id)) id = mask.stop_becomes;
  }
  if (id < 0 || id >= num_valid_tokens_) return {-1, 0, "no token is allowed at this position"};
  return {id, logits[static_cast<size_t>(id)] - log_sum_exp(logits, stats.max), {}};
}

TokenId Sampler::choose(std::span<const float> logits, const SamplingParams& sampling, int position) {
  const float max = max_logit(logits);
  if (!std::isfinite(max)) return -1;
  if (sampling.temperature <= 0) return first_with(logits, max);
  const double uniform = uniform_draw(sampling.seed, static_cast<uint64_t>(position));
  if (sampling.top_k <= 0 || sampling.top_k >= static_cast<int>(logits.size())) {
    return draw_all(logits, max, sampling, uniform);
  }
  select_top_k(candidates_, logits, sampling.top_k);
  const double total = weigh(candidates_, max, inverse(sampling.temperature), weights_);
  if (sampling.top_p < 1) keep_top_p(candidates_, static_cast<double>(sampling.top_p), total);
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < sampling.min_p; });
  return draw_candidates(uniform);
}

TokenId Sampler::draw_all(std::span<const float> logits, float max, const SamplingParams& sampling, double uniform) {
  weights_.resize(logits.size());
  const double total = exp_weights(weights_, logits, max, inverse(sampling.temperature));
  // All tokens lighter than (1 - top_p) · total / n weigh less than (1 - top_p) · total together, so none of them is
  // among the first ranks that reach top_p. The factor allows for rounding.
  const double negligible =
      0.99 * (1 - static_cast<double>(sampling.top_p)) * total / static_cast<double>(logits.size());
  const bool by_top_p = sampling.top_p < 1;
  const float floor = by_top_p ? static_cast<float>(negligible) : sampling.min_p;
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (weights_[i] >= floor && weights_[i] > 0)
      candidates_.push_back({static_cast<TokenId>(i), logits[i], weights_[i]});
  }
  if (by_top_p) {
    keep_top_p(candidates_, static_cast<double>(sampling.top_p), total);
    std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < sampling.min_p; });
  }
  return draw_candidates(uniform);
}

TokenId Sampler::draw_candidates(double uniform) const {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += static_cast<double>(candidate.weight);
  const double target = uniform * total;
  double sum = 0;
  TokenId last = -1;
  for (const Candidate& candidate : candidates_) {
    if (candidate.weight <= 0) continue;
    sum += static_cast<double>(candidate.weight);
    last = candidate.id;
    if (sum > target) break;
  }
  return last;
}

}  // namespace qwen
