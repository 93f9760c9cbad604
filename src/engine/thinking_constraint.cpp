// See thinking_constraint.h.
#include "engine/thinking_constraint.h"

#include <utility>

namespace qwen {

ThinkingConstraint::ThinkingConstraint(ThinkingBudget budget, End end, Clock clock)
    : budget_(std::move(budget)), end_(std::move(end)), clock_(std::move(clock)) {}

TokenMask ThinkingConstraint::mask() {
  const ThinkingBudget::Next next = budget_.next(clock_());
  end_->store(budget_.forced_by(), std::memory_order_relaxed);
  return {.forced = next.forced, .allowed = {}, .barred = next.barred, .stop_becomes = next.stop_becomes};
}

void ThinkingConstraint::advance(TokenId id) { budget_.advance(id); }

}  // namespace qwen
