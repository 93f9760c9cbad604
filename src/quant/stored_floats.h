// Scales and plain weights as checkpoints store them. A view into a file need not be aligned.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/tensor_view.h"

namespace qwen {

template <typename T>
T read_element(const TensorView& view, int64_t index) {
  T value;
  std::memcpy(&value, view.data + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

inline bool is_stored_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// Of a kF32, kF16 or kBF16 view; exact.
inline float read_float(const TensorView& view, int64_t index) {
  switch (view.dtype) {
    case DType::kBF16:
      return bf16_to_f32(read_element<uint16_t>(view, index));
    case DType::kF16:
      return f16_to_f32(read_element<uint16_t>(view, index));
    default:
      return read_element<float>(view, index);
  }
}

// `count` of them from `first` on.
inline void read_floats(const TensorView& view, int64_t first, int64_t count, float* out) {
  const auto each = [&](auto read) {
    for (int64_t i = 0; i < count; ++i) out[i] = read(first + i);
  };
  switch (view.dtype) {
    case DType::kBF16:
      return each([&](int64_t i) { return bf16_to_f32(read_element<uint16_t>(view, i)); });
    case DType::kF16:
      return each([&](int64_t i) { return f16_to_f32(read_element<uint16_t>(view, i)); });
    default:
      return each([&](int64_t i) { return read_element<float>(view, i); });
  }
}

}  // namespace qwen
