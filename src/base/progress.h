// A progress bar on stderr: one updating line on a terminal, else a plain line at most every few seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace qwen {

// Told by whoever does the long work; `done` and `total` in bytes, or in whatever the bar is told it counts.
using ProgressFn = std::function<void(uint64_t done, uint64_t total)>;

class ProgressBar {
 public:
  enum class Unit { kBytes, kNone };  // kNone: only the share is shown

  explicit ProgressBar(std::string label, Unit unit = Unit::kBytes);
  ~ProgressBar();  // ends the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void update(uint64_t done, uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  const Unit unit_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
};

}  // namespace qwen
