#include "backend/cpu/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace qwen {

#if defined(__x86_64__)
namespace {

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

constexpr bool bit(uint32_t value, int index) { return ((value >> index) & 1u) != 0; }

// Register states that the operating system saves: bits 1-2 SSE and AVX, bits 5-7 the three parts of AVX-512.
uint64_t saved_states() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

}  // namespace

CpuFeatures detect_cpu_features() {
  // Bit numbers: Intel SDM volume 2, CPUID leaves 1 and 7.
  const Registers leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0), leaf7_1 = cpuid(7, 1);
  constexpr int kOsxsave = 27, kFma = 12, kF16c = 29;
  if (!bit(leaf1.ecx, kOsxsave)) return {};
  const uint64_t states = saved_states();
  CpuFeatures features;
  features.avx2 = (states & 0x06) == 0x06 && bit(leaf1.ecx, kFma) && bit(leaf1.ecx, kF16c) && bit(leaf7.ebx, 5) &&
                  bit(leaf7.ebx, 8);
  const bool avx512 = features.avx2 && (states & 0xe6) == 0xe6 && bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) &&
                      bit(leaf7.ebx, 30) && bit(leaf7.ebx, 31);
  features.avx_vnni = features.avx2 && bit(leaf7_1.eax, 4);
  features.avx512_vnni = avx512 && bit(leaf7.ecx, 11);
  features.avx512_bf16 = avx512 && bit(leaf7_1.eax, 5);
  return features;
}
#else
CpuFeatures detect_cpu_features() { return {}; }
#endif

}  // namespace qwen
