// A kernel table ready for use: which instruction set, which element types it works on, no null entries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/cpu/integer_kernels.h"
#include "backend/cpu/kernel_table.h"
#include "base/dtype.h"

namespace qwen {

struct KernelSet {
  std::string_view name;
  DType activation;     // elements of a MatmulInput for plain weights
  DType kv;             // preferred elements of the KV cache
  bool stored_weights;  // keep the checkpoint's precision (bf16, or f32 for f32 and f16) instead of rounding to bf16
  KernelTable table;
  const IntegerKernels* integer = nullptr;  // null: int8 and int4 weights are dequantized and multiplied in f32
};

// What this CPU can run, best first; "reference", the scalar kernels at stored precision, comes last and is always
// there.
const std::vector<KernelSet>& usable_kernel_sets();

// `name`: "auto" or one of usable_kernel_sets(). Errors: kUsage for an unknown name, kDeviceUnavailable for one this
// CPU lacks.
const KernelSet& choose_kernel_set(std::string_view name);

}  // namespace qwen
