#include "server/cache/circuit_breaker.h"

#include <algorithm>

namespace qwen {

void CircuitBreaker::success() {
  const std::lock_guard lock(mutex_);
  failures_ = 0;
  if (!open_) pause_ = options_.first_pause;
}

bool CircuitBreaker::failure() {
  const std::lock_guard lock(mutex_);
  if (open_ || ++failures_ < options_.failures) return false;
  open_ = true;
  return true;
}

bool CircuitBreaker::trip() {
  const std::lock_guard lock(mutex_);
  return !open_.exchange(true);
}

bool CircuitBreaker::close() {
  const std::lock_guard lock(mutex_);
  failures_ = 0;
  return open_.exchange(false);
}

std::chrono::milliseconds CircuitBreaker::next_pause() {
  const std::lock_guard lock(mutex_);
  const auto half = pause_.count() / 2;
  const auto drawn =
      half + std::uniform_int_distribution<std::chrono::milliseconds::rep>(0, pause_.count() - half)(random_);
  pause_ = std::min(2 * pause_, options_.longest_pause);
  return std::chrono::milliseconds(drawn);
}

}  // namespace qwen
