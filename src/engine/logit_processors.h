// What a request does to the logits before temperature: bias, penalties, tokens that may not come yet.
#pragma once

#include <span>

#include "engine/sequence.h"
#include "engine/token_constraint.h"

namespace qwen {

// In this order, as vLLM: logit_bias; repetition penalty (prompt and output), then frequency and presence penalty
// (output only); stop tokens are barred while fewer than min_tokens came; ids outside `mask.allowed` are barred. Barred
// = -inf.
void apply_logit_processors(std::span<float> logits, const Sequence& sequence, const TokenMask& mask);

}  // namespace qwen
