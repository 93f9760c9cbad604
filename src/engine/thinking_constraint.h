// A thinking budget as the sampler's constraint: the engine side of thinking/thinking_budget.h, with the clock.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "engine/token_constraint.h"
#include "thinking/thinking_budget.h"

namespace qwen {

class ThinkingConstraint final : public TokenConstraint {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  // Where the reader of the output learns why its thought was closed; kNone while it was not. What a token's event is
  // read after was written before.
  using End = std::shared_ptr<std::atomic<ThinkingEnd>>;

  ThinkingConstraint(ThinkingBudget budget, End end, Clock clock = &std::chrono::steady_clock::now);

  TokenMask mask() override;
  void advance(TokenId id) override;

 private:
  ThinkingBudget budget_;
  const End end_;
  const Clock clock_;
};

}  // namespace qwen
