// The scalar kernels of integer weights: the formats of quant/integer_format.h and quant/grouped_format.h, spelled out.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "backend/cpu/int8_kv_layout.h"
#include "backend/cpu/integer_kernels.h"
#include "base/dtype.h"
#include "quant/hadamard.h"

namespace qwen {
namespace {

// In this order: each is written in terms of those before it.
// clang-format off
#include "backend/cpu/scalar/integer_matmul.inl"
#include "backend/cpu/scalar/integer_quantize.inl"
#include "backend/cpu/scalar/grouped_matmul.inl"
#include "backend/cpu/scalar/kv_token.inl"
#include "backend/cpu/scalar/int8_attention.inl"
// clang-format on

double probe_dot(int64_t rounds) {
  int32_t sum[kPanelRows] = {};
  volatile int8_t factor = 3;
  const int8_t x = factor;
  for (int64_t round = 0; round < rounds; ++round) {
    for (int lane = 0; lane < kPanelRows; ++lane) sum[lane] += (lane + static_cast<int>(round & 63)) * x;
  }
  for (const int32_t lane : sum) factor = static_cast<int8_t>(lane & 63);
  return static_cast<double>(rounds) * kPanelRows * 2;
}

}  // namespace

const IntegerKernels kScalarIntegerKernels = {
    .rotate = rotate_group,
    .quantize_row = quantize_row,
    .quantize_weights = quantize_weights,
    .matmul_int8 = matmul<Int8Panel>,
    .matmul_int4 = matmul<Int4Panel>,
    .matmul_int4_half = matmul<Int4HalfPanel, 2>,
    .attention = int8_attention,
    .probe_dot = probe_dot,
    .grouped = {quantize_grouped_row, grouped_matmul<4>, grouped_matmul<8>},
};

}  // namespace qwen
