// The forward pass without an engine: a fixed set of sequences, each with its own consecutive blocks of a KV cache. For
// logits and bench.
#pragma once

#include <span>
#include <vector>

#include "base/token_id.h"
#include "model/batch_input.h"
#include "model/causal_lm.h"

namespace qwen {

class DirectRunner {
 public:
  enum class Logits { kNone, kLast, kAll };
  struct Chunk {
    int sequence = 0;
    std::span<const TokenId> tokens;  // not empty; appended to the sequence
    Logits logits = Logits::kNone;
  };

  // `model` must outlive this object. Errors: kOs where the cache does not fit.
  DirectRunner(CausalLm& model, int num_sequences, int max_length);

  // One forward pass. The caller keeps the sum of tokens ≤ max_batched_tokens(), wanted rows ≤ max_logit_rows() and
  // lengths ≤ max_length. Returns logits [wanted rows, vocab_size], valid until the next call.
  std::span<const float> step(std::span<const Chunk> chunks);

  // Feeds `tokens` to one sequence in steps of at most `chunk` tokens and returns the logits of the last.
  std::span<const float> prefill(int sequence, std::span<const TokenId> tokens, int chunk);

  // The sequence has `length` tokens of random keys and values, as if that many had been fed: for timing at a depth.
  void fill(int sequence, int length);

  int length(int sequence) const { return lengths_[static_cast<size_t>(sequence)]; }
  void truncate(int sequence, int length) { lengths_[static_cast<size_t>(sequence)] = length; }
  int vocab_size() const { return static_cast<int>(model_.config().vocab_size); }

 private:
  CausalLm& model_;
  int blocks_per_sequence_;
  KvCache cache_;
  std::vector<int> lengths_;
  BatchInput batch_;
  std::vector<float> host_logits_;
};

}  // namespace qwen
