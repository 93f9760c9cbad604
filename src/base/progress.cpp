#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace qwen {

ProgressBar::ProgressBar(std::string label, Unit unit)
    : label_(std::move(label)),
      unit_(unit),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

ProgressBar::~ProgressBar() {
  if (terminal_ && drawn_) std::fputc('\n', stderr);
}

void ProgressBar::update(uint64_t done, uint64_t total) {
  const auto now = Clock::now();
  const bool finished = done >= total;
  const auto interval = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
  if (now - last_ < interval && !(finished && (terminal_ || drawn_))) return;
  last_ = now;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double fraction = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total - std::min(done, total)) / rate : 0;
  char amount[64] = "", speed[32] = "";
  if (unit_ == Unit::kBytes) {
    std::snprintf(amount, sizeof amount, " %.2f of %.2f GB,", static_cast<double>(done) / 1e9,
                  static_cast<double>(total) / 1e9);
    std::snprintf(speed, sizeof speed, " %.2f GB/s", rate / 1e9);
  }
  if (!terminal_) {
    std::fprintf(stderr, "%s: %3.0f %%,%s%s%s %.0f s left\n", label_.c_str(), fraction * 100, amount, speed,
                 *speed != '\0' ? "," : "", left);
    return;
  }
  constexpr int kWidth = 30;
  const int filled = static_cast<int>(fraction * kWidth);
  std::fprintf(stderr, "\r%s [%.*s%.*s] %3.0f %% %s  %.0f s left \033[K", label_.c_str(), filled,
               "##############################", kWidth - filled, "..............................", fraction * 100,
               speed, left);
  std::fflush(stderr);
}

}  // namespace qwen
