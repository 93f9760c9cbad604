// The kernels for AVX2 with FMA: bf16 weights, keys and values, f32 activations and probabilities.
#include <immintrin.h>

#include "backend/cpu/generic/compiler.h"
#include "backend/cpu/kernel_table.h"
#include "backend/cpu/layouts.h"

namespace qwen {
namespace {

// In this order: each is written in terms of those before it.
// clang-format off
#include "backend/cpu/avx2/simd.h"
#include "backend/cpu/avx2/dot_tile.h"
#include "backend/cpu/generic/row_tiles.inl"
#include "backend/cpu/generic/exp.inl"
#include "backend/cpu/generic/matmul.inl"
#include "backend/cpu/generic/elementwise.inl"
#include "backend/cpu/generic/attention.inl"
#include "backend/cpu/generic/probe.inl"
// clang-format on

}  // namespace

const KernelTable kAvx2Kernels = {
    .matmul = matmul,
    .rms_norm = rms_norm,
    .norm_rope = norm_rope,
    .silu_and_mul = silu_and_mul,
    .attention = attention,
    .attention_merge = attention_merge,
    .attention_finish = attention_finish,
    .probe_read = probe_read,
    .probe_dot = dot_peak,
};

}  // namespace qwen
