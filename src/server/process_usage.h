// What this process takes of the machine, as the kernel counts it. Zeros where the kernel does not tell.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace qwen {

struct ProcessUsage {
  double start_time = 0;   // seconds since 1970
  double cpu_seconds = 0;  // user and system
  uint64_t resident_bytes = 0, virtual_bytes = 0;
  uint64_t shared_bytes = 0;  // of the resident ones: pages of files, which other processes may share
  uint64_t open_fds = 0, max_fds = 0;
};

ProcessUsage read_process_usage();

// Processor time as a share of the cores that the process may use, between two looks at it.
class CpuMeter {
 public:
  using Clock = std::chrono::steady_clock;
  CpuMeter(double cpu_seconds, int cores, Clock::time_point now = Clock::now());

  // 0…100, since the look before; looks within a second of it see the same figure. Any thread.
  double percent(double cpu_seconds, Clock::time_point now = Clock::now());

 private:
  const int cores_;
  std::mutex mutex_;  // guards what follows
  Clock::time_point since_;
  double cpu_seconds_;
  double percent_ = 0;
};

}  // namespace qwen
