// The integer kernels for AVX-512 with VNNI (Cascade Lake, Ice Lake, Zen 4 and later).
#include <immintrin.h>

#include "backend/cpu/generic/compiler.h"
#include "backend/cpu/int8_kv_layout.h"
#include "backend/cpu/integer_kernels.h"

namespace qwen {
namespace {

// In this order: each is written in terms of those before it.
// clang-format off
#include "backend/cpu/avx512_vnni/simd16.h"
#include "backend/cpu/avx512_vnni/integer_dot.h"
#include "backend/cpu/generic/row_tiles.inl"
#include "backend/cpu/generic/integer_matmul.inl"
#include "backend/cpu/generic/integer_quantize.inl"
#include "backend/cpu/avx512_vnni/grouped_tile.h"
#include "backend/cpu/generic/grouped_matmul.inl"
#include "backend/cpu/generic/grouped_quantize.inl"
#include "backend/cpu/avx512_vnni/int8_attention.h"
#include "backend/cpu/generic/exp.inl"
#include "backend/cpu/generic/int8_attention_products.inl"
#include "backend/cpu/generic/int8_attention.inl"
// clang-format on

}  // namespace

const IntegerKernels kAvx512VnniIntegerKernels = {
    .rotate = rotate,
    .quantize_row = quantize_row,
    .quantize_weights = quantize_weights,
    .matmul_int8 = integer_matmul<Int8Dot>,
    .matmul_int4 = integer_matmul<Int4Dot>,
    .matmul_int4_half = integer_matmul<Int4HalfDot>,
    .attention = int8_attention,
    .probe_dot = dot_peak,
    .grouped = {quantize_grouped_row, grouped_matmul<Int4Dot>, grouped_matmul<Int8Dot>},
};

}  // namespace qwen
