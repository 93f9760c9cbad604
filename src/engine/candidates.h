// The tokens that a draw chooses from, and the filters that narrow them. Ranked by logit, equal logits by id; nothing
// sorts a vocabulary.
#pragma once

#include <span>
#include <vector>

#include "base/token_id.h"

namespace qwen {

struct Candidate {
  TokenId id = -1;
  float logit = 0;
  float weight = 0;  // its unnormalised probability; falls with the rank
};

inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The k first of all ids with a logit above -inf, in rank order, weights not set. Linear in the number of logits.
void select_top_k(std::vector<Candidate>& out, std::span<const float> logits, int k);

// Keeps the shortest run of first ranks whose weights reach top_p · total, at least one. Linear; the order of the
// survivors is unspecified but a function of the input alone. `candidates` may lack tokens that cannot be among the
// survivors; `total` counts them.
void keep_top_p(std::vector<Candidate>& candidates, double top_p, double total);

}  // namespace qwen
