#include "quant/gptq_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dtype.h"

namespace qwen {
namespace {

constexpr int kCandidates = 24;
constexpr float kShrink = 1.0f / 64;  // of the range, from one candidate to the next
constexpr float kLargestF16 = 65504;

double error_of(const float* weights, const float* importance, int64_t n, const GptqGrid& grid, int most) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float error = weights[i] - grid.value(grid.round(weights[i], most));
    sum += double{error} * error * (importance != nullptr ? importance[i] : 1.0f);
  }
  return sum;
}

float to_f16(float value) { return f16_to_f32(f32_to_f16(std::clamp(value, -kLargestF16, kLargestF16))); }

}  // namespace

int GptqGrid::round(float value, int most) const {
  if (scale == 0) return zero;
  const float q = std::nearbyint(value / scale) + static_cast<float>(zero);
  return static_cast<int>(std::min(std::max(q, 0.0f), static_cast<float>(most)));
}

GptqGrid choose_grid(const float* weights, const float* importance, int64_t n, const GridOptions& options) {
  const int most = (1 << options.bits) - 1, middle = (most + 1) / 2;
  const auto [lowest, highest] = std::minmax_element(weights, weights + n);
  const float low = std::min(*lowest, 0.0f), high = std::max(*highest, 0.0f), peak = std::max(-low, high);
  GptqGrid best{0, middle};
  double best_error = std::numeric_limits<double>::infinity();
  if (peak == 0) return best;
  const auto consider = [&](float scale, float zero) {
    const GptqGrid grid{to_f16(scale), std::clamp(static_cast<int>(zero), 1, most)};
    if (grid.scale == 0) return;
    const double error = error_of(weights, importance, n, grid, most);
    if (error < best_error) best = grid, best_error = error;
  };
  for (int i = 0; i < kCandidates; ++i) {
    const float share = 1 - static_cast<float>(i) * kShrink;
    if (options.symmetric) {
      consider(share * peak / static_cast<float>(middle - 1), static_cast<float>(middle));
    } else {
      const float scale = share * (high - low) / static_cast<float>(most);
      consider(scale, std::nearbyint(-share * low / scale));
    }
  }
  return best;
}

}  // namespace qwen
