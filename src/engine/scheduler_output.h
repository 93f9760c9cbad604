// One step's plan: which sequences compute how many of their uncomputed tokens, and which of them then get a new token.
#pragma once

#include <vector>

#include "engine/sequence.h"

namespace qwen {

struct ScheduledSequence {
  Sequence* sequence = nullptr;  // owned by the scheduler; valid until its update()
  int num_new_tokens = 0;        // ≥ 1, counted from num_computed_tokens
  bool samples = false;          // the newest token is among them, so a next one can be sampled
};

struct SchedulerOutput {
  std::vector<ScheduledSequence> sequences;  // in the order of arrival
  int num_tokens = 0;                        // ≤ max_num_batched_tokens
  bool empty() const { return sequences.empty(); }
};

}  // namespace qwen
