// See rope_table.h.
#include "model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qwen {

namespace {

// The dimension (of the pairs) that turns `rotations` times over the original context.
double correction_dim(double rotations, const ModelConfig& config) {
  const double original = static_cast<double>(config.rope_scaling.original_max_position_embeddings);
  return static_cast<double>(config.head_dim) * std::log(original / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.rope_theta));
}

// 0 for pairs that keep their frequency, 1 for those that are interpolated, linear in between.
std::vector<double> yarn_ramp(const ModelConfig& config, size_t pairs) {
  const RopeScaling& scaling = config.rope_scaling;
  double low = correction_dim(scaling.beta_fast, config);
  double high = correction_dim(scaling.beta_slow, config);
  if (scaling.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (low == high) high += 0.001;
  std::vector<double> ramp(pairs);
  for (size_t i = 0; i < pairs; ++i) ramp[i] = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  return ramp;
}

}  // namespace

std::vector<double> rope_inverse_frequencies(const ModelConfig& config) {
  const size_t pairs = static_cast<size_t>(config.head_dim / 2);
  std::vector<double> frequencies(pairs);
  for (size_t i = 0; i < pairs; ++i) {
    frequencies[i] = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim));
  }
  if (config.rope_scaling.type == RopeScaling::Type::kYarn) {
    const std::vector<double> ramp = yarn_ramp(config, pairs);
    for (size_t i = 0; i < pairs; ++i) frequencies[i] *= 1 - ramp[i] + ramp[i] / config.rope_scaling.factor;
  }
  return frequencies;
}

uint64_t RopeTable::size_bytes(const ModelConfig& config, int max_positions) {
  return static_cast<uint64_t>(max_positions) * static_cast<uint64_t>(config.head_dim) * sizeof(float);
}

RopeTable::RopeTable(Backend& backend, const ModelConfig& config, int max_positions) {
  const std::vector<double> frequencies = rope_inverse_frequencies(config);
  const size_t pairs = frequencies.size();
  const double factor =
      config.rope_scaling.type == RopeScaling::Type::kYarn ? config.rope_scaling.attention_factor : 1.0;
  std::vector<float> cosines(static_cast<size_t>(max_positions) * pairs), sines(cosines.size());
  for (size_t position = 0; position < static_cast<size_t>(max_positions); ++position) {
    for (size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      cosines[position * pairs + i] = static_cast<float>(std::cos(angle) * factor);
      sines[position * pairs + i] = static_cast<float>(std::sin(angle) * factor);
    }
  }
  const Shape shape{max_positions, static_cast<int64_t>(pairs)};
  cos = backend.alloc(DType::kF32, shape);
  sin = backend.alloc(DType::kF32, shape);
  backend.upload(cos, {DType::kF32, shape, reinterpret_cast<const std::byte*>(cosines.data())});
  backend.upload(sin, {DType::kF32, shape, reinterpret_cast<const std::byte*>(sines.data())});
}

}  // namespace qwen
