// What may or must come next, asked by the sampler at every position: thinking budget, grammar, forced text. Each
// request owns its constraint; it sees every token of the output, in order, on the engine thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/token_id.h"

namespace qwen {

// Which ids may be sampled: one forced id, or what a bitmap over the vocabulary allows (bit id % 64 of word id / 64; 1
// = allowed) and a short list does not bar.
struct TokenMask {
  TokenId forced = -1;                     // ≥ 0: this id and no other
  std::span<const uint64_t> allowed = {};  // empty = all; valid until the next advance()
  std::span<const TokenId> barred = {};    // valid as long
  TokenId stop_becomes = -1;               // ≥ 0: where one of the request's stop tokens is drawn, this id is chosen
};

class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  virtual TokenMask mask() = 0;          // for the next position
  virtual void advance(TokenId id) = 0;  // `id` was chosen
};

}  // namespace qwen
