// Synthetic weights: one pure function from (tensor, index) to a value, the same bit for bit on host and device, so
// that a test on another machine needs no file. A value is an integer hash, one int → float conversion (exact) and one
// multiplication: no step that two compilers could round differently.
//   hash:   splitmix64 of key + (index + 1)·γ, key = fnv1a(tensor name) mixed with the seed; index counts the tensor's
//   elements row-major normal: the sum of the hash's four 16-bit parts (Irwin–Hall of order 4), centred: an integer in
//   ±131070, standard deviation 37837
// What to fill in for which tensor of a model is decided on the host: weights/synthetic_recipe.h.
#pragma once

#include <cstdint>
#include <string_view>

#ifdef __CUDACC__
#define QWEN_HOST_DEVICE __host__ __device__
#else
#define QWEN_HOST_DEVICE
#endif

namespace qwen {

inline constexpr float kSyntheticNoiseStd = 37837.2f;

// Plain data: may be passed to a device kernel by value.
struct SyntheticTensor {
  static constexpr int kMaxOutliers = 8;
  enum Axis : int32_t { kNoOutliers, kRows, kColumns };

  uint64_t key = 0;
  int64_t cols = 1;  // length of a row; a vector is one row
  float scale = 0;   // value = (noise + bias) · scale
  int32_t bias = 0;  // in units of the noise
  int32_t outlier_axis = kNoOutliers;
  int32_t num_outliers = 0;
  int32_t outlier_index[kMaxOutliers] = {};  // rows or columns that have a scale of their own
  float outlier_scale[kMaxOutliers] = {};
};

QWEN_HOST_DEVICE constexpr uint64_t synthetic_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

constexpr uint64_t synthetic_key(uint64_t seed, std::string_view tensor_name) {
  uint64_t fnv1a = 0xcbf29ce484222325ull;
  for (const char c : tensor_name) fnv1a = (fnv1a ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return synthetic_mix(fnv1a + synthetic_mix(seed + 0x9e3779b97f4a7c15ull));
}

QWEN_HOST_DEVICE constexpr int32_t synthetic_noise(uint64_t key, uint64_t index) {
  const uint64_t hash = synthetic_mix(key + (index + 1) * 0x9e3779b97f4a7c15ull);
  const uint64_t pairs = (hash & 0x0000ffff0000ffffull) + ((hash >> 16) & 0x0000ffff0000ffffull);
  return static_cast<int32_t>((pairs & 0xffffffffull) + (pairs >> 32)) - 131070;
}

// The scale of an element outside outlier rows and columns is tensor.scale.
QWEN_HOST_DEVICE constexpr float synthetic_scaled(const SyntheticTensor& tensor, uint64_t index, float scale) {
  return static_cast<float>(synthetic_noise(tensor.key, index) + tensor.bias) * scale;
}

// Element `index`, row-major. In float32; the file holds it rounded to its dtype (nearest, ties to even).
QWEN_HOST_DEVICE constexpr float synthetic_value(const SyntheticTensor& tensor, uint64_t index) {
  float scale = tensor.scale;
  if (tensor.outlier_axis != SyntheticTensor::kNoOutliers) {
    const auto cols = static_cast<uint64_t>(tensor.cols);
    const uint64_t place = tensor.outlier_axis == SyntheticTensor::kRows ? index / cols : index % cols;
    for (int i = 0; i < tensor.num_outliers; ++i)
      if (place == static_cast<uint64_t>(tensor.outlier_index[i])) scale = tensor.outlier_scale[i];
  }
  return synthetic_scaled(tensor, index, scale);
}

}  // namespace qwen
