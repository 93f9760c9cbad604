// GPTQ: plain weights → integers whose errors, weighed by what the calibration's inputs make of them, nearly cancel
// (hessian_factor.h).
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "quant/gptq_matrix.h"
#include "quant/hessian_factor.h"

namespace qwen {

struct GptqOptions {
  GridOptions grid;
  int64_t group_size = 128;  // 32, 64, 128; -1: one group a row
  HessianOptions hessian;
};

// What a stored zero point is less than the grid's: 1, the format's first version, for symmetric grids; 0, its second,
// for others, since engines do not read such folders of the first.
inline int gptq_zero_offset(const GptqOptions& options) { return options.grid.symmetric ? 1 : 0; }

// The grids of groups are chosen when their turn comes, for the weights with the feedback of earlier errors; with
// act_order all at the start, for the weights as they are, since a group's inputs then come at different times (what
// others call static groups). So the group of an input follows from its place in either case. `weights` [rows, cols].
// Errors: kBadData where a weight is not finite, or larger than any number in f16, as scales are.
GptqMatrix gptq_quantize(std::span<const float> weights, int64_t rows, const HessianFactor& factor,
                         const GptqOptions& options, ThreadPool& pool);

// Every weight to the nearest number of the same grids: what GPTQ is compared with.
GptqMatrix round_to_nearest(std::span<const float> weights, int64_t rows, int64_t cols, const GptqOptions& options,
                            ThreadPool& pool);

// tr(E·H·Eᵀ) / tr(W·H·Wᵀ) over rows [0, rows) of both: the square of the relative error of the layer's outputs on the
// calibration. `gram` as HessianFactor takes it; 0 where the outputs are zero.
double relative_output_error(std::span<const float> weights, std::span<const float> quantized, int64_t rows,
                             std::span<const float> gram, int64_t cols, ThreadPool& pool);

}  // namespace qwen
