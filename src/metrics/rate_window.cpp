#include "metrics/rate_window.h"

#include <algorithm>

namespace qwen {
namespace {

int64_t second_of(RateWindow::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

void RateWindow::add(uint64_t amount, Clock::time_point now) {
  const int64_t second = second_of(now);
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[static_cast<size_t>(second) % slots_.size()];
  if (slot.second != second) slot = {second, 0};
  slot.amount += amount;
}

double RateWindow::per_second(Clock::time_point now) const {
  const int64_t second = second_of(now);
  uint64_t sum = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_)
      if (slot.second > second - kSeconds && slot.second <= second) sum += slot.amount;
  }
  const double age = std::chrono::duration<double>(now - start_).count();
  return static_cast<double>(sum) / std::clamp(age, 1.0, static_cast<double>(kSeconds));
}

}  // namespace qwen
