#include "backend/cpu/kernel_table.h"

namespace qwen {

const KernelTable kAvx2Kernels = {};

}  // namespace qwen
