#include "backend/cpu/kernel_set.h"

#include <algorithm>
#include <array>

#include "backend/cpu/cpu_features.h"
#include "base/error.h"

namespace qwen {
namespace {

// Every name there is, best first; whether this CPU runs it is usable_kernel_sets' business.
constexpr std::array<std::string_view, 5> kNames = {"avx512_bf16", "avx512_vnni", "avx_vnni", "avx2", "reference"};

KernelTable with_scalar_for_null(KernelTable table) {
  const auto fill = [](auto& entry, auto scalar) {
    if (entry == nullptr) entry = scalar;
  };
  fill(table.matmul, kScalarKernels.matmul);
  fill(table.rms_norm, kScalarKernels.rms_norm);
  fill(table.norm_rope, kScalarKernels.norm_rope);
  fill(table.silu_and_mul, kScalarKernels.silu_and_mul);
  fill(table.attention, kScalarKernels.attention);
  fill(table.attention_merge, kScalarKernels.attention_merge);
  fill(table.attention_finish, kScalarKernels.attention_finish);
  fill(table.probe_read, kScalarKernels.probe_read);
  fill(table.probe_dot, kScalarKernels.probe_dot);
  return table;
}

std::vector<KernelSet> find_kernel_sets() {
  const CpuFeatures cpu = detect_cpu_features();
  std::vector<KernelSet> sets;
#if defined(__x86_64__)
  const auto add_f32 = [&](std::string_view name, const IntegerKernels& integer) {
    sets.push_back({name, DType::kF32, DType::kBF16, false, with_scalar_for_null(kAvx2Kernels), &integer});
  };
  if (cpu.avx512_bf16) {
    sets.push_back({kNames[0], DType::kBF16, DType::kBF16, false, with_scalar_for_null(kAvx512Bf16Kernels),
                    cpu.avx512_vnni ? &kAvx512VnniIntegerKernels : &kAvx2IntegerKernels});
  }
  if (cpu.avx512_vnni) add_f32(kNames[1], kAvx512VnniIntegerKernels);
  if (cpu.avx_vnni) add_f32(kNames[2], kAvxVnniIntegerKernels);
  if (cpu.avx2) add_f32(kNames[3], kAvx2IntegerKernels);
#else
  (void)cpu;
#endif
  sets.push_back({kNames[4], DType::kF32, DType::kF32, true, kScalarKernels});
  return sets;
}

}  // namespace

const std::vector<KernelSet>& usable_kernel_sets() {
  static const std::vector<KernelSet> sets = find_kernel_sets();
  return sets;
}

const KernelSet& choose_kernel_set(std::string_view name) {
  const std::vector<KernelSet>& sets = usable_kernel_sets();
  if (name == "auto") return sets.front();
  std::string usable = "auto";
  for (const KernelSet& set : sets) {
    if (set.name == name) return set;
    usable += str(", ", set.name);
  }
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) {
    throw Error(ErrorCode::kDeviceUnavailable,
                str("--kernels ", name, ": this CPU lacks the instructions; choose one of ", usable), "kernels");
  }
  throw Error(ErrorCode::kUsage, str("--kernels ", name, ": no such kernels; choose one of ", usable), "kernels");
}

}  // namespace qwen
