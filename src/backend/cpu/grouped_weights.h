// The weights of GPTQ and AWQ folders in panels (quant/grouped_format.h, grouped_layouts.h): the integers, zero points
// and scales are the folder's own.
//
// What can be packed so: 4 and 8 bits, groups of a multiple of 16 inputs or of all of them. Act-order (desc_act) sorts
// the inputs by group, which costs a gather where the activations are quantized. Matrices that are stacked read the
// same activations, so they must have the same order: q, k and v do, as do gate and up, where GPTQ saw the same
// calibration text through the same layer. All others are quantized anew, to int8 or bf16, whatever the model's other
// weights are.
#pragma once

#include <optional>
#include <span>

#include "backend/cpu/integer_kernels.h"
#include "backend/matrix.h"
#include "base/thread_pool.h"
#include "quant/host_matrix.h"

namespace qwen {

inline bool is_grouped(const QuantFormat& format) { return format.kind == QuantFormat::Kind::kGrouped; }

// The format in which checked matrices are packed with their integers as they are; nothing where they cannot be. Reads
// zero points and group indices, no weights.
std::optional<QuantFormat> grouped_format(std::span<const HostMatrix> stacked);

// The same for a matrix of `cols` inputs that nobody has seen, stored with f16 scales and its groups in order; zero
// points are what AWQ is for.
std::optional<QuantFormat> expected_grouped_format(const QuantFormat& stored, int64_t cols);

// `format`: grouped_format's answer. Errors: kBadData for shapes or element types that do not fit together, kOs.
Matrix pack_grouped_weights(std::span<const HostMatrix> stacked, const QuantFormat& format, ThreadPool& pool);

size_t grouped_panel_bytes(const QuantFormat& format, int cols);                     // 32 outputs
size_t grouped_weight_bytes(const QuantFormat& format, int64_t rows, int64_t cols);  // of the result

// As adopt_integer_weights. Errors: also kBadData where the order of a reordered matrix is none.
Matrix adopt_grouped_weights(const HostMatrix& packed);

// [cols]: the input at each place of a reordered matrix; else null.
const int32_t* input_order(const Matrix& matrix);

GroupedMatmulTask grouped_task(const Matrix& matrix);  // the shape of its groups; no pointers

// Row `row` of such a matrix as the weights that it stands for.
void unpack_grouped_row(const Matrix& matrix, int row, float* out);

}  // namespace qwen
