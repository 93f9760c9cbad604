// FP8 checkpoints (quant_method "fp8", as Qwen publishes them):
//   weight  float8_e4m3fn [rows, cols]
//   scales  float, one per block of the matrix; despite its name weight_scale_inv it multiplies. The block follows from
//   the shape:
//           [⌈rows / 128⌉, ⌈cols / 128⌉] blocks of 128 by 128, [rows, 1] or [rows] one per output, [] or [1] one for
//           all
// Source: qwen3-facts.md G4.
#pragma once

#include <string>

#include "quant/host_matrix.h"

namespace qwen {

constexpr int64_t kFp8Block = 128;

// See check_matrix and dequantize_rows.
void check_fp8_block(const HostMatrix& matrix, const std::string& name);
void dequantize_fp8_block(const HostMatrix& matrix, int64_t first, int64_t count, float* out);

// Bias 7, no infinities, 0x7f and 0xff are NaN, largest 448.
float f8e4m3_to_f32(uint8_t value);

}  // namespace qwen
