// See logit_math.h. Written with the compilers' vector extensions: four lanes are native on every x86-64 and ARM64.
#include "engine/logit_math.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace qwen {

namespace {

using F32x4 = float __attribute__((vector_size(16)));
using I32x4 = int32_t __attribute__((vector_size(16)));

constexpr size_t kLanes = 4;
// Sums run in f32 over this many entries and in double over the partial sums.
constexpr size_t kBlock = 512;

F32x4 load(const float* from) {
  F32x4 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

F32x4 splat(float value) { return F32x4{value, value, value, value}; }

// exp for x ≤ 0 within 2 ulp; below -87 the result is 0. Cody and Waite's reduction, Cephes' polynomial.
F32x4 exp_nonpositive(F32x4 x) {
  const I32x4 in_range = x > splat(-87.0f);
  const F32x4 clamped = in_range ? x : splat(-87.0f);
  const F32x4 magic = splat(0x1.8p23f);  // adding it rounds to an integer, which is then in the low mantissa bits
  const F32x4 shifted = clamped * splat(1.44269504f) + magic;
  const F32x4 n = shifted - magic;
  const F32x4 r = clamped - n * splat(0.693359375f) - n * splat(-2.12194440e-4f);
  F32x4 p = splat(1.9875691500e-4f);
  p = p * r + splat(1.3981999507e-3f);
  p = p * r + splat(8.3334519073e-3f);
  p = p * r + splat(4.1665795894e-2f);
  p = p * r + splat(1.6666665459e-1f);
  p = p * r + splat(5.0000001201e-1f);
  p = p * r * r + r + splat(1.0f);
  const I32x4 exponent = (std::bit_cast<I32x4>(shifted) - std::bit_cast<I32x4>(magic)) << 23;
  const F32x4 result = std::bit_cast<F32x4>(std::bit_cast<I32x4>(p) + exponent);
  return in_range ? result : splat(0.0f);
}

double lane_sum(F32x4 value) { return static_cast<double>((value[0] + value[1]) + (value[2] + value[3])); }

float lane_max(F32x4 value) { return std::max(std::max(value[0], value[1]), std::max(value[2], value[3])); }

// The last, incomplete group of lanes, filled up with `fill`.
F32x4 load_tail(std::span<const float> tail, float fill) {
  std::array<float, kLanes> padded;
  padded.fill(fill);
  std::copy(tail.begin(), tail.end(), padded.begin());
  return load(padded.data());
}

// Calls visit(index, lanes) for every group of lanes; the last one may be padded with `fill`.
template <typename Visit>
void for_each_group(std::span<const float> values, float fill, Visit&& visit) {
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) visit(i, load(values.data() + i));
  if (i < values.size()) visit(i, load_tail(values.subspan(i), fill));
}

}  // namespace

LogitStats logit_stats(std::span<const float> logits) {
  if (logits.empty()) return {};
  F32x4 max = splat(-std::numeric_limits<float>::infinity());
  F32x4 poison = splat(0.0f);  // x · 0 is NaN for NaN and infinities, else ±0
  for_each_group(logits, logits[0], [&](size_t, F32x4 x) {
    max = x > max ? x : max;
    poison += x * splat(0.0f);
  });
  return {lane_max(max), lane_sum(poison) == 0.0};
}

float max_logit(std::span<const float> logits) {
  F32x4 max = splat(-std::numeric_limits<float>::infinity());
  for_each_group(logits, -std::numeric_limits<float>::infinity(), [&](size_t, F32x4 x) { max = x > max ? x : max; });
  return lane_max(max);
}

float log_sum_exp(std::span<const float> logits, float max) {
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    F32x4 sum = splat(0.0f);
    for_each_group(logits.subspan(begin, std::min(kBlock, logits.size() - begin)),
                   -std::numeric_limits<float>::infinity(),
                   [&](size_t, F32x4 x) { sum += exp_nonpositive(x - splat(max)); });
    total += lane_sum(sum);
  }
  return static_cast<float>(static_cast<double>(max) + std::log(total));
}

double exp_weights(std::span<float> weights, std::span<const float> logits, float max, float scale) {
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::span<const float> block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
    F32x4 sum = splat(0.0f);
    for_each_group(block, -std::numeric_limits<float>::infinity(), [&](size_t i, F32x4 x) {
      const F32x4 weight = exp_nonpositive((x - splat(max)) * splat(scale));
      sum += weight;
      std::memcpy(weights.data() + begin + i, &weight, std::min(kLanes, block.size() - i) * sizeof(float));
    });
    total += lane_sum(sum);
  }
  return total;
}

}  // namespace qwen
