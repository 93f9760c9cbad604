// The kernels of GPTQ and AWQ weights, as plain function pointers: one table per instruction set, all of them complete.
// The arithmetic is quant/grouped_format.h's to the bit, in every table: the scalar one is the specification.
//
// Included by files compiled with instruction-set flags: see kernel_table.h. Layouts: grouped_layouts.h.
#pragma once

#include "backend/cpu/grouped_layouts.h"

namespace qwen {

// One row of activations.
struct GroupedQuantizeTask {
  const float* in;          // [cols]
  const int32_t* order;     // [cols], in range: which input comes where; or null: as they are
  GroupedActivations* out;  // [grouped_blocks(cols)]
  int cols;
};

// One panel: out = x · wᵀ (+ bias); pointers are those of the panel's first column.
struct GroupedMatmulTask {
  const void* x;    // GroupedActivations rows
  size_t x_stride;  // bytes
  const void* w;
  float* out;
  int64_t out_stride;
  const float* bias;  // or null
  int rows;
  int columns;  // ≤ kPanelRows; the rest is padding
  int blocks;
  int group_blocks;  // of a group; the last may have fewer
  bool zero_points;
  bool wide_scales;
};

struct GroupedKernels {
  void (*quantize_row)(const GroupedQuantizeTask&);
  void (*matmul4)(const GroupedMatmulTask&);
  void (*matmul8)(const GroupedMatmulTask&);
};

}  // namespace qwen
