// Memory of the CPU backend: base/anonymous_memory.h as a DeviceBuffer.
#pragma once

#include <cstddef>
#include <string_view>

#include "backend/tensor.h"

namespace qwen {

// At least 64-byte aligned. Errors: kOs, naming `what` and the size.
DeviceBuffer allocate_host_memory(size_t bytes, std::string_view what);

// What the process may still take: the smaller of the machine's available memory and the rest of the cgroup's limit.
size_t available_host_memory();

}  // namespace qwen
