// Blocks of 32 numbers as GGML's Q8_0 and Q4_0 round them: an f16 scale and integers of 8 or 4 bits, largest magnitude
// at 127 and at -8, no search. Value i is scale · q[i]. A block that holds a NaN or infinity gets a NaN scale.
// Source: ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace qwen {

inline constexpr int kGgmlBlock = 32;
inline constexpr int kQ8BlockBytes = 2 + kGgmlBlock, kQ4BlockBytes = 2 + kGgmlBlock / 2;  // in a file

struct GgmlBlock {
  uint16_t scale = 0;  // f16
  int8_t q[kGgmlBlock] = {};

  float value(int i) const { return f16_to_f32(scale) * static_cast<float>(q[i]); }
};

GgmlBlock quantize_q8_0(const float* x);  // scale = amax / 127; q in ±127
GgmlBlock quantize_q4_0(const float* x);  // scale = the number of the largest magnitude / -8; q in -8 … 7

}  // namespace qwen
