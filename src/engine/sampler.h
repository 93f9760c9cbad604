// Chooses the next token of one sequence from its row of logits. Order as Hugging Face: bias and penalties →
// temperature → top_k → top_p → min_p → draw. The result depends on the logits, the request and its own tokens alone;
// the draw on (seed, position).
#pragma once

#include <span>
#include <vector>

#include "engine/candidates.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"

namespace qwen {

class Sampler {
 public:
  // Ids ≥ num_valid_tokens are padding of the embedding table and never chosen.
  explicit Sampler(int num_valid_tokens) : num_valid_tokens_(num_valid_tokens) {}

  // `logits`: [vocab_size], vocab_size ≥ num_valid_tokens. Not finite, or no token allowed: `error` is set. The
  // constraint, if any, is asked but not advanced.
  SampledToken sample(std::span<const float> logits, const Sequence& sequence);

 private:
  TokenId choose(std::span<const float> logits, const SamplingParams& sampling, int position);  // -1: none is allowed
  TokenId draw_all(std::span<const float> logits, float max, const SamplingParams& sampling, double uniform);
  TokenId draw_candidates(double uniform) const;

  int num_valid_tokens_;
  std::vector<float> adjusted_, weights_;  // scratch, [num_valid_tokens]
  std::vector<Candidate> candidates_;
};

}  // namespace qwen
