// Backends and random data for the kernel tests: each test runs once per kernel set, against plain double arithmetic.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/kernel_set.h"
#include "backend/cpu/layouts.h"
#include "base/error.h"

namespace qwen {

#if defined(__x86_64__)
extern const IntegerKernels kAvxVnniByAvx512IntegerKernels;  // avx_vnni_by_avx512.cpp
#endif

// Every kernel set that this CPU has, those of AVX-VNNI also in the encoding of AVX-512, and the scalar kernels on bf16
// activations and keys: what a null table entry falls back to.
inline std::vector<KernelSet> tested_kernel_sets() {
  std::vector<KernelSet> sets = usable_kernel_sets();
#if defined(__x86_64__)
  const auto vnni = std::find_if(sets.begin(), sets.end(), [](const auto& set) { return set.name == "avx512_vnni"; });
  if (vnni != sets.end()) {
    KernelSet encoded = *vnni;
    encoded.name = "avx_vnni_by_avx512";
    encoded.integer = &kAvxVnniByAvx512IntegerKernels;
    sets.push_back(encoded);
  }
#endif
  sets.push_back({"scalar_bf16", DType::kBF16, DType::kBF16, false, kScalarKernels, &kScalarIntegerKernels});
  return sets;
}

// Those of them whose integer kernels a test calls.
inline std::vector<KernelSet> sets_with_integers() {
  std::vector<KernelSet> sets = tested_kernel_sets();
  std::erase_if(sets, [](const KernelSet& set) { return set.integer == nullptr; });
  return sets;
}

// The same set with the specification in the place of its integer kernels. All else, what it quantizes too, has the
// same bits.
inline KernelSet with_scalar_integers(KernelSet set) {
  if (set.integer != nullptr) set.integer = &kScalarIntegerKernels;
  return set;
}

inline void PrintTo(const KernelSet& set, std::ostream* out) { *out << set.name; }

class KernelTest : public testing::TestWithParam<KernelSet> {
 protected:
  const KernelSet& kernels() const { return GetParam(); }
  std::vector<float> random(size_t n, float scale = 1.0f) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(n);
    for (float& v : values) v = normal(random_);
    return values;
  }
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  std::mt19937 random_{20240607};
};

inline std::string kernel_set_name(const testing::TestParamInfo<KernelSet>& info) {
  return std::string(info.param.name);
}

#define QWEN_FOR_EVERY_KERNEL_SET(suite) \
  INSTANTIATE_TEST_SUITE_P(Kernels, suite, testing::ValuesIn(tested_kernel_sets()), kernel_set_name)

inline Tensor tensor_of(Backend& backend, const Shape& shape, const std::vector<float>& values) {
  Tensor tensor = backend.alloc(DType::kF32, shape);
  backend.upload(tensor, {DType::kF32, shape, reinterpret_cast<const std::byte*>(values.data())});
  return tensor;
}

inline std::vector<float> values_of(Backend& backend, const Tensor& tensor, int rows) {
  std::vector<float> scratch;
  const std::span<const float> values = backend.read_f32(tensor, rows, scratch);
  return {values.begin(), values.end()};
}

// A weight in any checkpoint format; keeps its bytes.
struct StoredMatrix {
  std::vector<std::byte> bytes;
  HostMatrix host;

  StoredMatrix(DType dtype, int rows, int cols, const std::vector<float>& values) {
    bytes.resize(values.size() * dtype_size(dtype));
    for (size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::kF32) {
        std::memcpy(&bytes[i * 4], &values[i], 4);
      } else {
        const uint16_t bits = dtype == DType::kBF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
        std::memcpy(&bytes[i * 2], &bits, 2);
      }
    }
    host = {{}, rows, cols, {dtype, {rows, cols}, bytes.data()}};
  }

  double at(int row, int col) const {
    const size_t i = static_cast<size_t>(row) * static_cast<size_t>(host.cols) + static_cast<size_t>(col);
    if (host.weight.dtype == DType::kF32) {
      float value;
      std::memcpy(&value, &bytes[i * 4], 4);
      return value;
    }
    uint16_t bits;
    std::memcpy(&bits, &bytes[i * 2], 2);
    return host.weight.dtype == DType::kBF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
  }
};

// ‖a - b‖ / ‖b‖; infinite where a value is not finite.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i])) return INFINITY;
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / (norm > 0 ? norm : 1));
}

// Whether values are the same to the bit. Which NaN a NaN is, is not looked at.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::memcmp(&x, &y, sizeof x) == 0 || (std::isnan(x) && std::isnan(y));
  });
}

// Elements from a row of floats to the next.
inline size_t row_stride(const MatmulInput& input) {
  return static_cast<size_t>(activation_stride(input.cols, dtype_size(input.dtype)));
}

// A MatmulInput with given rows, through the one public way in: RMSNorm with unit weight of rows that it does not
// change in direction. Returns the rows as f32 too, as the kernels' element type rounds them.
struct Activations {
  MatmulInput input;
  std::vector<float> values;  // [rows, cols]
};

inline Activations activations_of(Backend& backend, const KernelSet& kernels, int rows, int cols,
                                  const std::vector<float>& x) {
  Activations a{backend.alloc_matmul_input(rows, cols, {}), {}};
  const Tensor unit = tensor_of(backend, {cols}, std::vector<float>(static_cast<size_t>(cols), 1.0f));
  backend.rms_norm(a.input, tensor_of(backend, {rows, cols}, x), unit, 1e-6f, rows);
  const size_t stride = row_stride(a.input);
  for (int row = 0; row < rows; ++row) {
    for (int col = 0; col < cols; ++col) {
      const size_t i = static_cast<size_t>(row) * stride + static_cast<size_t>(col);
      a.values.push_back(kernels.activation == DType::kBF16 ? bf16_to_f32(a.input.buffer.as<uint16_t>()[i])
                                                            : a.input.buffer.as<float>()[i]);
    }
  }
  return a;
}

}  // namespace qwen
