// What the kernels need from the compiler. Included by instruction-set files: see kernel_table.h.
#pragma once

#define QWEN_INLINE __attribute__((always_inline)) inline
#define QWEN_INLINE_LAMBDA __attribute__((always_inline))

// Before a loop of constant trip count whose body indexes registers.
#if defined(__clang__)
#define QWEN_UNROLL _Pragma("unroll")
#else
#define QWEN_UNROLL _Pragma("GCC unroll 32")
#endif

namespace qwen {
namespace {

// A number known to the compiler.
template <int N>
struct Index {
  QWEN_INLINE constexpr operator int() const { return N; }
};

// body(Index<0>), …, body(Index<N - 1>): a loop that is gone before the compiler decides what lives in registers, which
// GCC does not manage for arrays of accumulators indexed in a loop that it unrolls late.
template <int N, int kFirst = 0, typename Body>
QWEN_INLINE void unrolled(const Body& body) {
  if constexpr (kFirst < N) {
    body(Index<kFirst>{});
    unrolled<N, kFirst + 1>(body);
  }
}

}  // namespace
}  // namespace qwen
