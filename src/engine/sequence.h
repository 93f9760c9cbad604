// One request inside the engine: its tokens, how many of them have keys and values in the cache, and in which blocks.
// Integers only. Invariants: 0 ≤ num_computed_tokens ≤ num_tokens; token_ids only grows, also through preemption; the
// block table covers at least num_computed_tokens and is written by BlockManager alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/token_id.h"
#include "engine/sampling_params.h"
#include "engine/token_constraint.h"
#include "engine/token_stream.h"

namespace qwen {

using RequestId = uint64_t;  // ascending in the order of arrival

class Sequence {
 public:
  enum class Status { kWaiting, kRunning, kFinished };

  // `max_model_len` bounds prompt and output together; the prompt is shorter than it and not empty.
  Sequence(RequestId id, std::vector<TokenId> prompt, SamplingParams sampling, int max_model_len,
           std::unique_ptr<TokenConstraint> constraint = nullptr);

  RequestId id() const { return id_; }
  void set_id(RequestId id) { id_ = id; }  // before anyone but the inbox has seen it
  const SamplingParams& sampling() const { return sampling_; }
  TokenConstraint* constraint() const { return constraint_.get(); }  // may be null

  std::span<const TokenId> token_ids() const { return token_ids_; }  // prompt, then output
  int num_tokens() const { return static_cast<int>(token_ids_.size()); }
  int num_prompt_tokens() const { return num_prompt_tokens_; }
  int num_output_tokens() const { return num_tokens() - num_prompt_tokens_; }
  int num_computed_tokens() const { return num_computed_tokens_; }
  int num_cached_tokens() const {
    return num_cached_tokens_;
  }  // of the prompt, found in the cache at the first admission
  int num_uncomputed_tokens() const { return num_tokens() - num_computed_tokens_; }

  // What penalties look at: each distinct token with its count in the output (0: in the prompt only). Kept only where a
  // penalty is on.
  const std::unordered_map<TokenId, int>& token_counts() const { return token_counts_; }

  // Appends a sampled token and says whether the request ends with it.
  FinishReason append(TokenId id);
  void set_num_computed_tokens(int count);
  void set_num_cached_tokens(int count) { num_cached_tokens_ = count; }

  Status status = Status::kWaiting;
  std::vector<int32_t> block_table;

 private:
  RequestId id_;
  SamplingParams sampling_;
  std::unique_ptr<TokenConstraint> constraint_;
  std::vector<TokenId> token_ids_;
  std::unordered_map<TokenId, int> token_counts_;
  int num_prompt_tokens_;
  int num_computed_tokens_ = 0;
  int num_cached_tokens_ = 0;
  int max_num_tokens_;
};

}  // namespace qwen
