// What the kernels need from the compiler. Included by instruction-set files: see kernel_table.h.
#pragma once

#define QWEN_INLINE __attribute__((always_inline)) inline

// Before a loop of constant trip count whose body indexes registers.
#if defined(__clang__)
#define QWEN_UNROLL _Pragma("unroll")
#else
#define QWEN_UNROLL _Pragma("GCC unroll 32")
#endif
