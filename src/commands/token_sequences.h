// Token sequences to compare models on: cut from a text, sampled by the model, or random.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/token_id.h"
#include "model/causal_lm.h"

namespace qwen {

using TokenSequences = std::vector<std::vector<TokenId>>;

// The first `count` pieces of `length` ids, fewer where the ids are; the last may be shorter, none has a single id.
TokenSequences cut_sequences(std::span<const TokenId> ids, int count, int length);

// Each begins with `prompt` and goes on with what the model draws at temperature 1 from the ids below `vocab_size`. A
// function of the seed. `count` sequences and `length` tokens fit the model's limits; `prompt` is not empty and shorter
// than `length`.
TokenSequences sample_sequences(CausalLm& model, std::span<const TokenId> prompt, int vocab_size, int count, int length,
                                uint64_t seed);

// Conversations that the model has with itself, one after the other: `user` and `assistant` open a turn, one of `ends`
// that the model draws closes it. `user` is not empty; all else as in sample_sequences.
struct DialogueTokens {
  std::vector<TokenId> user, assistant, ends;
};
TokenSequences sample_dialogues(CausalLm& model, const DialogueTokens& dialogue, int vocab_size, int count, int length,
                                uint64_t seed);

// Uniform in [0, vocab_size).
TokenSequences random_sequences(int64_t vocab_size, int count, int length, uint64_t seed);

}  // namespace qwen
