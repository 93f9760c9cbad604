// A linear layer's weight as it lies in host memory: [rows = output features, cols = input features], y = x·Wᵀ.
// Joins what a file says (bytes) and what a format says (meaning); made by model/weight_loader, consumed by
// Backend::prepare.
#pragma once

#include <cstdint>

#include "base/tensor_view.h"
#include "quant/format.h"

namespace qwen {

struct HostMatrix {
  QuantFormat format;
  int64_t rows = 0;
  int64_t cols = 0;
  TensorView weight;  // kNone: [rows, cols] of kF32, kF16 or kBF16
};

}  // namespace qwen
