// Weights between a checkpoint's rows and the panels that the kernels read (layouts.h).
#pragma once

#include <span>

#include "backend/matrix.h"
#include "base/thread_pool.h"
#include "quant/host_matrix.h"

namespace qwen {

// Stacks the matrices along the rows and packs them. The result is bf16, or with `stored_precision` the element type of
// the sources (f16 becomes f32, exactly; quantized ones are dequantized to f32). Errors: kBadData for shapes or element
// types that do not fit together, kOs without memory.
Matrix pack_weights(std::span<const HostMatrix> stacked, bool stored_precision, ThreadPool& pool);

size_t packed_weight_bytes(int64_t rows, int64_t cols, DType dtype);  // of a result of such elements

// Row `row` of a packed matrix, as f32.
void unpack_row(const Matrix& matrix, int row, float* out);

}  // namespace qwen
