// A linear layer's weight as it lies in host memory: [rows = output features, cols = input features], y = x·Wᵀ.
// Joins what a file says (bytes) and what a format says (meaning); made by model/weight_loader, consumed by
// Backend::prepare. Views that a format does not use have no data.
#pragma once

#include <cstdint>
#include <memory>

#include "base/tensor_view.h"
#include "quant/format.h"

namespace qwen {

struct HostMatrix {
  QuantFormat format;
  int64_t rows = 0;
  int64_t cols = 0;
  // kNone: [rows, cols] of kF32, kF16 or kBF16. kInt8, kInt4: as a folder has them (quant/integer_rows.h), or without
  // scales [bytes] of kU8 in the packing of the backend that made them (Backend::packing), as kGrouped always is. Else
  // the format's own packing.
  TensorView weight;
  TensorView scales = {};
  TensorView zeros = {};                   // kGptq, kAwq
  TensorView g_idx = {};                   // kGptq: the group of each input feature; without data: feature / group_size
  std::shared_ptr<const void> owner = {};  // of `weight` in a packing, which Backend::prepare may keep
};

}  // namespace qwen
