// Damaged files: weights that are no numbers.
#pragma once

#include <string>

#include "base/tensor_view.h"

namespace qwen {

// Throws kBadData naming the tensor unless every number is finite. Types other than f32, f16 and bf16 always pass.
void check_finite(const TensorView& view, const std::string& name);

}  // namespace qwen
