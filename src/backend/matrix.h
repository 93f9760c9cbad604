// A linear layer's weight, repacked for one backend by Backend::prepare. y = x·Wᵀ (+ bias).
#pragma once

#include "backend/tensor.h"
#include "quant/format.h"

namespace qwen {

struct Matrix {
  QuantFormat format;
  int rows = 0;                // output features
  int cols = 0;                // input features
  DType dtype = DType::kBF16;  // elements of the buffer, where format.kind is kNone
  DeviceBuffer buffer;         // layout private to the backend
};

}  // namespace qwen
