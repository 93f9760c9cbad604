// A thinking budget as the sampler's constraint: the engine side of thinking/thinking_budget.h, with the clock.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "engine/token_constraint.h"
#include "thinking/thinking_budget.h"

namespace qwen {

// What the engine thread and the reader of an output tell each other about its thought.
struct ThoughtLink {
  // Why it was closed; kNone while it was not. What a token's event is read after was written before.
  std::atomic<ThinkingEnd> closed_by{ThinkingEnd::kNone};
  std::atomic<bool> finish{false};  // the reader's: to be closed at the next token
};

class ThinkingConstraint final : public TokenConstraint {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  ThinkingConstraint(ThinkingBudget budget, std::shared_ptr<ThoughtLink> link,
                     Clock clock = &std::chrono::steady_clock::now);

  TokenMask mask() override;
  void advance(TokenId id) override;

 private:
  ThinkingBudget budget_;
  const std::shared_ptr<ThoughtLink> link_;
  const Clock clock_;
};

}  // namespace qwen
