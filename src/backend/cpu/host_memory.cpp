// See host_memory.h.
#include "backend/cpu/host_memory.h"

#include <algorithm>
#include <utility>

#include "base/anonymous_memory.h"
#include "base/memory_usage.h"

namespace qwen {

DeviceBuffer allocate_host_memory(size_t bytes, std::string_view what) {
  std::shared_ptr<std::byte> memory = allocate_anonymous_memory(bytes, what);
  void* const data = memory.get();
  return DeviceBuffer(data, std::max<size_t>((bytes + 63) / 64 * 64, 64), std::move(memory));
}

size_t available_host_memory() { return static_cast<size_t>(read_memory_usage().available_bytes); }

}  // namespace qwen
