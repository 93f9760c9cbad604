// Host memory seen as a tensor: dtype, shape and bytes that somebody else owns. Backend memory is `Tensor`
// (backend/tensor.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/dtype.h"

namespace qwen {

// Up to 8 dimensions, row-major. Dimensions are ≥ 0; whoever builds a Shape from foreign bytes has checked that the
// product fits.
class Shape {
 public:
  static constexpr int kMaxRank = 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (const int64_t dim : dims) push_back(dim);
  }
  void push_back(int64_t dim) { dims_.at(static_cast<size_t>(rank_)) = dim, ++rank_; }
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t num_elements() const {
    int64_t product = 1;
    for (int i = 0; i < rank_; ++i) product *= (*this)[i];
    return product;
  }
  friend bool operator==(const Shape& a, const Shape& b) = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);  // "[2560, 4096]"

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  const std::byte* data = nullptr;

  size_t size_bytes() const { return static_cast<size_t>(shape.num_elements()) * dtype_size(dtype); }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
};

}  // namespace qwen
