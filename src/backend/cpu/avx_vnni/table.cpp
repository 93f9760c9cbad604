// The integer kernels for AVX-VNNI (Alder Lake and later without AVX-512).
#include <immintrin.h>

#include "backend/cpu/generic/compiler.h"
#include "backend/cpu/integer_kernels.h"

namespace qwen {
namespace {

// In this order: each is written in terms of those before it.
// clang-format off
#include "backend/cpu/avx2/simd.h"
#include "backend/cpu/avx2/simd16.h"
#include "backend/cpu/avx_vnni/integer_dot.h"
#include "backend/cpu/generic/row_tiles.inl"
#include "backend/cpu/generic/integer_matmul.inl"
#include "backend/cpu/generic/integer_quantize.inl"
#include "backend/cpu/avx2/grouped_tile.h"
#include "backend/cpu/generic/grouped_matmul.inl"
#include "backend/cpu/generic/grouped_quantize.inl"
// clang-format on

}  // namespace

const IntegerKernels kAvxVnniIntegerKernels = {
    .rotate = rotate,
    .quantize_row = quantize_row,
    .quantize_weights = quantize_weights,
    .matmul_int8 = integer_matmul<Int8Dot>,
    .matmul_int4 = integer_matmul<Int4Dot>,
    .matmul_int4_half = integer_matmul<Int4HalfDot>,
    .probe_dot = integer_dot_peak,
    .grouped = {quantize_grouped_row, grouped_matmul<Int4Dot>, grouped_matmul<Int8Dot>},
};

}  // namespace qwen
