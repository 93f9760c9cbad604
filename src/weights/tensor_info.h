// Where one tensor of a checkpoint lies. Invariant (kept by the format readers): offset + size_bytes is within the
// file, and size_bytes is the product of the shape times the element size.
#pragma once

#include <cstdint>
#include <string>

#include "base/dtype.h"
#include "base/tensor_view.h"

namespace qwen {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t offset = 0;  // from the start of its file
  uint64_t size_bytes = 0;
  uint32_t file = 0;  // index of its file in the checkpoint
};

// More than any dense model needs (64 layers have about 2,300); bounds what a hostile file can make us store.
inline constexpr size_t kMaxTensors = 65536;

}  // namespace qwen
