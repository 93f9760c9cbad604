// See thinking_constraint.h.
#include "engine/thinking_constraint.h"

#include <utility>

namespace qwen {

ThinkingConstraint::ThinkingConstraint(ThinkingBudget budget, std::shared_ptr<ThoughtLink> link, Clock clock)
    : budget_(std::move(budget)), link_(std::move(link)), clock_(std::move(clock)) {}

TokenMask ThinkingConstraint::mask() {
  if (link_->finish.load(std::memory_order_relaxed)) budget_.finish();
  const ThinkingBudget::Next next = budget_.next(clock_());
  link_->closed_by.store(budget_.forced_by(), std::memory_order_relaxed);
  return {.forced = next.forced, .allowed = {}, .barred = next.barred, .stop_becomes = next.stop_becomes};
}

void ThinkingConstraint::advance(TokenId id) { budget_.advance(id); }

}  // namespace qwen
