// See ggml_block.h.
#include "quant/ggml_block.h"

#include <algorithm>
#include <cmath>

namespace qwen {
namespace {

constexpr uint16_t kNanF16 = 0x7e00;

// The number of the largest magnitude, the first of equals; NaN where one is not finite.
float peak(const float* x) {
  float largest = 0;
  bool finite = true;
  for (int i = 0; i < kGgmlBlock; ++i) {
    finite &= std::isfinite(x[i]);
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  return finite ? largest : std::nanf("");
}

// Halves away from zero, as roundf does; exact, since the sum is one in double.
int round_to_integer(float v) { return static_cast<int>(double{v} + (v < 0 ? -0.5 : 0.5)); }

template <typename Round>
GgmlBlock quantize(const float* x, float scale, const Round& round) {
  GgmlBlock block;
  block.scale = std::isfinite(scale) ? f32_to_f16(scale) : kNanF16;
  if (!std::isfinite(scale)) return block;
  const float inverse = std::isfinite(1 / scale) ? 1 / scale : 0;
  for (int i = 0; i < kGgmlBlock; ++i) block.q[i] = static_cast<int8_t>(round(x[i] * inverse));
  return block;
}

}  // namespace

GgmlBlock quantize_q8_0(const float* x) { return quantize(x, std::fabs(peak(x)) / 127, round_to_integer); }

GgmlBlock quantize_q4_0(const float* x) {
  return quantize(x, peak(x) / -8, [](float v) { return std::min(15, static_cast<int>(v + 8.5f)) - 8; });
}

}  // namespace qwen
