// See loop_guard.h.
#include "thinking/loop_guard.h"

#include <algorithm>

namespace qwen {

bool LoopGuard::push(TokenId id) {
  bool looped = false;
  const size_t reach = std::min<size_t>(size_, kMaxPeriod);
  for (size_t period = 1; period <= reach; ++period) {
    int& run = run_[period];
    run = last_[(size_ - period) % kMaxPeriod] == id ? run + 1 : 0;
    // A run of n tokens that equal those `period` places before them covers these too.
    const int covered = run + static_cast<int>(period);
    looped = looped || covered >= std::max(kMinTokens, kMinRepeats * static_cast<int>(period));
  }
  last_[size_ % kMaxPeriod] = id;
  ++size_;
  return looped;
}

}  // namespace qwen
