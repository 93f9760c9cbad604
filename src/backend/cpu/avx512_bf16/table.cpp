#include "backend/cpu/kernel_table.h"

namespace qwen {

const KernelTable kAvx512Bf16Kernels = {};

}  // namespace qwen
