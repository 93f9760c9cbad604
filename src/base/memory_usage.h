// The machine's memory, or less where the limit of a control group around this process (version 2 or 1) says so. File
// pages that nobody uses at the moment count as available, as in /proc/meminfo and in Kubernetes' working set: a large
// model read once through the page cache must not look like a machine that is full.
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

struct MemoryUsage {
  uint64_t total_bytes = 0, available_bytes = 0;  // zeros where the kernel does not tell
  double used_percent() const {                   // 0…100
    return total_bytes == 0
               ? 0
               : 100.0 * static_cast<double>(total_bytes - available_bytes) / static_cast<double>(total_bytes);
  }
};

// `root` stands before /proc and /sys; for tests.
MemoryUsage read_memory_usage(const std::string& root = {});

}  // namespace qwen
