// How long to wait before a process that ended is started again: nearly at once after it has served for a while, longer
// and longer while it ends again and again.
#pragma once

#include <algorithm>
#include <chrono>

namespace qwen {

class RestartBackoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{500}, kMost{60'000};
  static constexpr std::chrono::seconds kServed{60};  // after which it starts from the beginning

  // `ready`: how long the process had been ready when it ended.
  std::chrono::milliseconds after_end(std::chrono::milliseconds ready) {
    if (ready >= kServed) next_ = kFirst;
    const auto wait = next_;
    next_ = std::min(2 * next_, kMost);
    return wait;
  }

 private:
  std::chrono::milliseconds next_ = kFirst;
};

}  // namespace qwen
