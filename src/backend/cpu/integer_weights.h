// Weights quantized to int8 or int4 panels at load (quant/integer_format.h, integer_layouts.h).
#pragma once

#include <span>

#include "backend/cpu/integer_kernels.h"
#include "backend/matrix.h"
#include "base/thread_pool.h"
#include "quant/host_matrix.h"

namespace qwen {

inline bool is_integer(const QuantFormat& format) {
  return format.kind == QuantFormat::Kind::kInt8 || format.kind == QuantFormat::Kind::kInt4;
}

inline bool is_int4_half(const QuantFormat& format) {  // int4 with a scale per 64 inputs
  return format.kind == QuantFormat::Kind::kInt4 && format.group_size == kHalfGroup;
}

size_t integer_panel_bytes(const QuantFormat& format, int cols);  // 32 outputs

// Stacks matrices along the rows and quantizes them, those of other formats from what they stand for; of those that a
// folder has in this format (quant/integer_rows.h) it takes over the integers. Reads the sources forward once and holds
// nothing beside them and the result but a dequantized panel a thread. Errors: kBadData for shapes or element types
// that do not fit together and for integers of another such format, kOs.
Matrix pack_integer_weights(std::span<const HostMatrix> stacked, const QuantFormat& format,
                            const IntegerKernels& kernels, ThreadPool& pool);

size_t integer_weight_bytes(const QuantFormat& format, int64_t rows, int64_t cols);  // of the result

// Such a matrix again, from its bytes, which stay where they are. Errors: kBadData where they are not as many as the
// shape takes, or misaligned.
Matrix adopt_integer_weights(const HostMatrix& packed);

// Rows [first, first + count) of a plain matrix as a folder stores them, of integer_rows_shape(format, count, cols).
// Loading the result gives the bits that pack_integer_weights gives for the plain matrix.
void quantize_integer_rows(const HostMatrix& plain, int64_t first, int64_t count, const QuantFormat& format,
                           const IntegerKernels& kernels, ThreadPool& pool, uint8_t* qweight, uint16_t* scales);

// Row `row` of such a matrix as the weights that it stands for: dequantized and rotated back.
void unpack_integer_row(const Matrix& matrix, int row, const IntegerKernels& kernels, float* out);

}  // namespace qwen
