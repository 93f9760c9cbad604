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

}  // namespace qwen
