#include "backend/cpu/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <string>

#include "base/error.h"

namespace qwen {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t round_up_to(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

[[noreturn]] void out_of_memory(size_t bytes, std::string_view what) {
  throw Error(ErrorCode::kOs, str("cannot allocate ", bytes >> 20, " MiB for ", what,
                                  ": choose a smaller model, context or batch, or free memory"));
}

DeviceBuffer allocate_small(size_t bytes, std::string_view what) {
  constexpr std::align_val_t kAlign{64};
  void* data = ::operator new(bytes, kAlign, std::nothrow);
  if (data == nullptr) out_of_memory(bytes, what);
  std::memset(data, 0, bytes);
  return DeviceBuffer(data, bytes, std::shared_ptr<void>(data, [](void* p) { ::operator delete(p, kAlign); }));
}

// First number after `key` in a "key value" file; `missing` where there is none.
uint64_t read_number(const char* path, std::string_view key, uint64_t missing) {
  std::ifstream file(path);
  std::string word;
  uint64_t value = 0;
  if (key.empty()) return file >> value ? value : missing;
  while (file >> word) {
    if (word == key) return file >> value ? value : missing;
  }
  return missing;
}

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

// A container sees its own group at the root of the mounted hierarchy. Page cache counts as used there but can be
// dropped.
uint64_t cgroup_rest() {
  uint64_t limit = read_number("/sys/fs/cgroup/memory.max", {}, kUnlimited);
  uint64_t used = read_number("/sys/fs/cgroup/memory.current", {}, 0);
  uint64_t cache = read_number("/sys/fs/cgroup/memory.stat", "inactive_file", 0);
  if (limit == kUnlimited) {
    limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", {}, kUnlimited);
    used = read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", {}, 0);
    cache = read_number("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file", 0);
  }
  if (limit == kUnlimited) return kUnlimited;
  used -= std::min(used, cache);
  return limit - std::min(limit, used);
}

}  // namespace

DeviceBuffer allocate_host_memory(size_t bytes, std::string_view what) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) out_of_memory(bytes, what);
  bytes = round_up_to(std::max<size_t>(bytes, 1), 64);
  if (bytes < kHugePage) return allocate_small(bytes, what);

  // Reserve one huge page more than needed, keep the aligned part. NORESERVE: a KV cache is sized by the address space
  // it may grow into.
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t length = round_up_to(bytes, page), reserved = length + kHugePage;
  void* const base =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) out_of_memory(bytes, what);
  const uintptr_t start = reinterpret_cast<uintptr_t>(base), aligned = round_up_to(start, kHugePage);
  if (aligned > start) munmap(base, aligned - start);
  if (const size_t rest = start + reserved - (aligned + length); rest > 0) {
    munmap(reinterpret_cast<void*>(aligned + length), rest);
  }
  void* const data = reinterpret_cast<void*>(aligned);
  madvise(data, length, MADV_HUGEPAGE);  // advice: without it the memory is merely slower
  return DeviceBuffer(data, bytes, std::shared_ptr<void>(data, [length](void* p) { munmap(p, length); }));
}

size_t available_host_memory() {
  constexpr uint64_t kKib = 1024;
  const uint64_t available = read_number("/proc/meminfo", "MemAvailable:", kUnlimited / kKib) * kKib;
  return static_cast<size_t>(std::min(available, cgroup_rest()));
}

}  // namespace qwen
