// See logit_processors.h.
#include "engine/logit_processors.h"

#include <algorithm>
#include <limits>

namespace qwen {

namespace {

constexpr float kBarred = -std::numeric_limits<float>::infinity();

// Ids beyond the tokens that may be sampled are nobody's business.
float* entry(std::span<float> logits, TokenId id) {
  return id >= 0 && static_cast<size_t>(id) < logits.size() ? &logits[static_cast<size_t>(id)] : nullptr;
}

void apply_penalties(std::span<float> logits, const Sequence& sequence) {
  const SamplingParams& sampling = sequence.sampling();
  for (const auto& [id, count] : sequence.token_counts()) {
    float* logit = entry(logits, id);
    if (logit == nullptr) continue;
    *logit = *logit > 0 ? *logit / sampling.repetition_penalty : *logit * sampling.repetition_penalty;
    if (count > 0) *logit -= sampling.frequency_penalty * static_cast<float>(count) + sampling.presence_penalty;
  }
}

void apply_mask(std::span<float> logits, std::span<const uint64_t> allowed) {
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t word = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
    if (word == ~uint64_t{0}) continue;
    const size_t end = std::min(begin + 64, logits.size());
    for (size_t i = begin; i < end; ++i) {
      if ((word >> (i - begin) & 1) == 0) logits[i] = kBarred;
    }
  }
}

}  // namespace

void apply_logit_processors(std::span<float> logits, const Sequence& sequence, const TokenMask& mask) {
  const SamplingParams& sampling = sequence.sampling();
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (float* logit = entry(logits, id)) *logit += bias;
  }
  apply_penalties(logits, sequence);
  if (sequence.num_output_tokens() < sampling.min_tokens) {
    for (const TokenId id : sampling.stop_token_ids) {
      if (float* logit = entry(logits, id)) *logit = kBarred;
    }
  }
  for (const TokenId id : mask.barred) {
    if (float* logit = entry(logits, id)) *logit = kBarred;
  }
  if (!mask.allowed.empty()) apply_mask(logits, mask.allowed);
}

}  // namespace qwen
