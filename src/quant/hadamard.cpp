#include "quant/hadamard.h"

#include <cmath>

#include "quant/integer_format.h"

namespace qwen {
namespace {

// H of `size` values, a power of two, divided by √size; strides from the largest to the smallest.
void rotate_block(float* v, int size) {
  for (int stride = size / 2; stride > 0; stride /= 2) {
    for (int i = 0; i < size; ++i) {
      if ((i & stride) != 0) continue;
      const float a = v[i], b = v[i + stride];
      v[i] = a + b;
      v[i + stride] = a - b;
    }
  }
  const float norm = 1.0f / std::sqrt(static_cast<float>(size));
  for (int i = 0; i < size; ++i) v[i] *= norm;
}

}  // namespace

void rotate_group(float* values, int count) {
  for (int size = kIntegerGroup; size > 0; size /= 2) {
    if ((count & size) == 0) continue;
    rotate_block(values, size);
    values += size;
  }
}

}  // namespace qwen
