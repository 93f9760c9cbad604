// The machine's memory, or the container's where a cgroup limits it to less.
#pragma once

#include <cstdint>

namespace qwen {

struct MemoryUsage {
  uint64_t total_bytes = 0, available_bytes = 0;  // zeros where the kernel does not tell
};

MemoryUsage read_memory_usage();

}  // namespace qwen
