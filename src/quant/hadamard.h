// The rotation of quant/integer_format.h in plain f32: the specification that the kernels' own are tested against.
#pragma once

namespace qwen {

// One group of `count` ≤ kIntegerGroup values, in place; its own inverse up to rounding.
void rotate_group(float* values, int count);

}  // namespace qwen
