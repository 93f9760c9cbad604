// Token sequences to compare models on: cut from a text, sampled by the model, or random.
#pragma once

#include <cstdint>
#include <functional>
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

// Conversations that the model has with itself: `user` opens one, `assistant` and `next_user` the turns after that, one
// of `ends` that the model draws closes a turn, one of `stops` the conversation, after which the next begins. `user` is
// not empty; all else as in sample_sequences. The sequences are those from number `first` on of all that the seed has,
// however they are cut into calls. `on_token` is called after each position; what it throws ends the sampling.
struct DialogueTokens {
  std::vector<TokenId> user, assistant, next_user, ends, stops;
};
TokenSequences sample_dialogues(CausalLm& model, const DialogueTokens& dialogue, int vocab_size, int count, int length,
                                uint64_t seed, size_t first = 0, const std::function<void()>& on_token = {});

// Uniform in [0, vocab_size).
TokenSequences random_sequences(int64_t vocab_size, int count, int length, uint64_t seed);

}  // namespace qwen
