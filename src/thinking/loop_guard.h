// Notices that a thought goes round in circles: the same block of tokens again and again. A function of the tokens
// alone, so what it decides is reproducible.
//
// It trips when the newest tokens are at least kMinRepeats copies of a block of 1…kMaxPeriod tokens and cover at least
// kMinTokens tokens. Both bounds together leave alone what honest thoughts repeat: a ruler of dashes, a table's rows, a
// sum written out digit by digit.
#pragma once

#include <array>
#include <cstddef>

#include "base/token_id.h"

namespace qwen {

class LoopGuard {
 public:
  static constexpr int kMaxPeriod = 64, kMinRepeats = 8, kMinTokens = 256;

  // The next token of the thought; true from the token on that completes the pattern, as long as it goes on. Takes
  // kMaxPeriod comparisons.
  bool push(TokenId id);

 private:
  std::array<TokenId, kMaxPeriod> last_{};  // a ring; last_[(size_ - p) % kMaxPeriod] is the token p places back
  std::array<int, kMaxPeriod + 1> run_{};   // [p]: how many of the newest tokens equal the one p places before them
  size_t size_ = 0;                         // tokens so far
};

}  // namespace qwen
