// The element types alone, for files that may include nothing with inline functions (backend/cpu/kernel_table.h).
#pragma once

#include <stdint.h>

namespace qwen {

enum class DType : uint8_t { kF32, kF16, kBF16, kF8E4M3, kI8, kU8, kI32, kI64 };

}  // namespace qwen
