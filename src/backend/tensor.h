// Backend memory. Only `Backend::upload` and `read_f32` cross between host and device; nobody above backend/ looks
// inside.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/tensor_view.h"
#include "quant/format.h"

namespace qwen {

// Memory of one backend; freed by the deleter that the backend gave it.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(void* data, size_t bytes, std::shared_ptr<void> owner)
      : data_(data), bytes_(bytes), owner_(std::move(owner)) {}
  template <typename T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  size_t size_bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  std::shared_ptr<void> owner_;
};

// Row-major [rows, cols] (or [n]); made by Backend::alloc. `buffer` is private to the backend that made it.
struct Tensor {
  DType dtype = DType::kF32;
  Shape shape;
  DeviceBuffer buffer;
};

// What a linear layer reads: up to max_rows rows of `cols` activations in whatever form the backend's matmul wants
// (f32, bf16, int8 with scales). Written by the norms, silu_and_mul and paged_attention, so that the conversion is
// fused into what produces the values. What that form is depends on the matrix that reads it: Backend::set_reader.
struct MatmulInput {
  int max_rows = 0;
  int cols = 0;
  DType dtype = DType::kF32;  // elements; kI8: with a scale per row and group of inputs
  DeviceBuffer buffer;
  QuantFormat weights = {};        // of the reader
  const int32_t* order = nullptr;  // [cols], the input at each place, where the reader is reordered (desc_act)
};

}  // namespace qwen
