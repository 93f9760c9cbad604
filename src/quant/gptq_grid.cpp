#include "quant/gptq_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dtype.h"

namespace qwen {
namespace {

constexpr int kCandidates = 22;
constexpr float kShrink = 1.0f / 64;  // of the range, from one candidate to the next
constexpr float kLargestF16 = 65504;
constexpr int kLanes = 8;

float to_f16(float value) { return f16_to_f32(f32_to_f16(std::clamp(value, -kLargestF16, kLargestF16))); }

// To the nearest integer, halves to even, for |v| < 2^22: without a call, so that loops become vectors.
float nearest(float v) { return (v + 0x1.8p23f) - 0x1.8p23f; }

// q - zero of a value that is already divided by the scale; `low` of what is no number.
float step(float divided, float low, float high) { return nearest(std::min(high, std::max(low, divided))); }

float inverse_of(const GptqGrid& grid) { return grid.scale == 0 ? 0 : 1 / grid.scale; }

float error_of(const float* weights, const float* importance, int64_t n, const GptqGrid& grid, int most) {
  const float inverse = inverse_of(grid), low = static_cast<float>(-grid.zero),
              high = static_cast<float>(most - grid.zero);
  float sums[kLanes] = {};
  const auto add = [&](int64_t i, int lane) {
    const float error = weights[i] - grid.scale * step(weights[i] * inverse, low, high);
    sums[lane] += error * error * (importance != nullptr ? importance[i] : 1.0f);
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
  for (; i < n; ++i) add(i, 0);
  float sum = 0;
  for (const float lane : sums) sum += lane;
  return sum;
}

}  // namespace

int GptqGrid::round(float value, int most) const {
  const float low = static_cast<float>(-zero), high = static_cast<float>(most - zero);
  return static_cast<int>(step(value * inverse_of(*this), low, high)) + zero;
}

GptqGrid choose_grid(const float* weights, const float* importance, int64_t n, const GridOptions& options) {
  const int most = (1 << options.bits) - 1, middle = (most + 1) / 2;
  const auto [lowest, highest] = std::minmax_element(weights, weights + n);
  const float high = std::max(*highest, 0.0f);
  // At least one step below zero: the zero point counts from 1.
  const float low = std::min(*lowest, -high / static_cast<float>(most - 1)), peak = std::max(-low, high);
  GptqGrid best{0, middle};
  float best_error = std::numeric_limits<float>::infinity();
  const auto consider = [&](float scale, float zero) {
    const GptqGrid grid{to_f16(scale), std::clamp(static_cast<int>(zero), 1, most)};
    const float error = grid.scale == 0 ? best_error : error_of(weights, importance, n, grid, most);
    if (error < best_error) best = grid, best_error = error;
  };
  for (int i = 0; i < kCandidates && peak > 0; ++i) {
    const float share = 1 - static_cast<float>(i) * kShrink;
    if (options.symmetric) {
      const float scale = share * peak / static_cast<float>(middle - 1);
      consider(scale, static_cast<float>(middle));
      consider(-scale, static_cast<float>(middle));
    } else {
      const float scale = share * (high - low) / static_cast<float>(most);
      if (scale > 0) consider(scale, std::nearbyint(-share * low / scale));
    }
  }
  return best;
}

}  // namespace qwen
