// Any format → f32: the specification that fused kernels are tested against, and the way by which a backend without a
// kernel of its own runs a format.
#pragma once

#include <cstdint>
#include <string>

#include "quant/host_matrix.h"

namespace qwen {

// Whether shapes, element types and indices fit together, so that dequantize_rows stays inside every view. `name` is
// the matrix in errors. Errors: kBadData.
void check_matrix(const HostMatrix& matrix, const std::string& name);

// Rows [first, first + count) of a checked matrix → out [count, cols]. Thread-safe.
void dequantize_rows(const HostMatrix& matrix, int64_t first, int64_t count, float* out);

}  // namespace qwen
