// See anonymous_memory.h.
#include "base/anonymous_memory.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bitset>
#include <climits>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"

namespace qwen {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t round_up_to(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

[[noreturn]] void out_of_memory(size_t bytes, std::string_view what) {
  throw Error(ErrorCode::kOs, str("cannot allocate ", bytes >> 20, " MiB for ", what,
                                  ": choose a smaller model, context or batch, or free memory"));
}

std::shared_ptr<std::byte> allocate_small(size_t bytes, std::string_view what) {
  constexpr std::align_val_t kAlign{64};
  void* const data = ::operator new(bytes, kAlign, std::nothrow);
  if (data == nullptr) out_of_memory(bytes, what);
  std::memset(data, 0, bytes);
  return {static_cast<std::byte*>(data), [](std::byte* p) { ::operator delete(p, kAlign); }};
}

// Spreads the pages over the memory of all sockets, whose threads all read all of it: left to the first touch, they
// would lie where one loading thread happened to run. Whoever started the process with a policy (numactl) knows better.
// Advice like huge pages: where it is refused, as in many containers, the memory is merely slower.
void interleave_over_nodes(void* data, size_t length) {
  constexpr size_t kMostNodes = 1024;  // the kernel's, at most
  unsigned long nodes[kMostNodes / (CHAR_BIT * sizeof(unsigned long))] = {};
  int policy = MPOL_DEFAULT;
  if (syscall(SYS_get_mempolicy, &policy, nullptr, 0, nullptr, 0) != 0 || policy != MPOL_DEFAULT) return;
  if (syscall(SYS_get_mempolicy, nullptr, nodes, kMostNodes, nullptr, MPOL_F_MEMS_ALLOWED) != 0) return;
  size_t count = 0;
  for (const unsigned long word : nodes) count += std::bitset<CHAR_BIT * sizeof word>(word).count();
  if (count > 1) syscall(SYS_mbind, data, length, MPOL_INTERLEAVE, nodes, kMostNodes, 0);
}

}  // namespace

std::shared_ptr<std::byte> allocate_anonymous_memory(size_t bytes, std::string_view what) {
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
  interleave_over_nodes(data, length);
  return {static_cast<std::byte*>(data), [length](std::byte* p) { munmap(p, length); }};
}

}  // namespace qwen
