// The kernels of int8 and int4 weights and of an int8 KV cache, as plain function pointers: one table per instruction
// set, all of them complete. The arithmetic is quant/integer_format.h's to the bit, in every table, but for attention's
// softmax: the scalar one is the specification.
//
// Included by files compiled with instruction-set flags: see kernel_table.h. Layouts: integer_layouts.h.
#pragma once

#include "backend/cpu/grouped_kernels.h"
#include "backend/cpu/integer_layouts.h"
#include "backend/cpu/kernel_table.h"

namespace qwen {

// One row of activations.
struct QuantizeRowTask {
  const float* in;       // [cols]
  Int8Activations* out;  // [integer_groups(cols)]
  int cols;
};

// One group of one output's weights.
struct QuantizeWeightsTask {
  float* values;  // [kIntegerGroup]: the inputs' weights, zeros from `count` on; rotated in place
  int count;
  int bits;                        // 8 or 4
  uint8_t* q;                      // [kIntegerGroup], q + offset
  uint16_t* scale;                 // bf16: [kIntegerGroup / group_size]
  int group_size = kIntegerGroup;  // or kHalfGroup
};

// Rows that a product with integer weights, these or grouped_kernels.h's, does in one pass over a panel. A task may
// have any number; with these their activations stay in the L2 cache from panel to panel.
constexpr int kIntegerTaskRows = 256;

// One panel: out = x · wᵀ (+ bias); pointers are those of the panel's first column.
struct IntegerMatmulTask {
  const void* x;    // Int8Activations rows
  size_t x_stride;  // bytes
  const void* w;    // [groups] of Int8Panel or Int4Panel, [2 · groups] of Int4HalfPanel
  float* out;
  int64_t out_stride;
  const float* bias;  // or null
  int rows;
  int columns;  // ≤ kPanelRows; the rest is padding
  int groups;
};

struct IntegerKernels {
  void (*rotate)(float* values, int count);  // one group, in place; its own inverse
  void (*quantize_row)(const QuantizeRowTask&);
  void (*quantize_weights)(const QuantizeWeightsTask&);
  void (*matmul_int8)(const IntegerMatmulTask&);
  void (*matmul_int4)(const IntegerMatmulTask&);
  void (*matmul_int4_half)(const IntegerMatmulTask&);  // group size 64
  void (*attention)(const AttentionTask&);             // over an int8 cache: int8_kv_layout.h
  // As KernelTable::probe_dot: rounds of matmul_int8's multiply-accumulate; returns the operations done.
  double (*probe_dot)(int64_t rounds);
  GroupedKernels grouped;  // of weights that were integers in the folder
};

extern const IntegerKernels kScalarIntegerKernels;
extern const IntegerKernels kAvx2IntegerKernels;
extern const IntegerKernels kAvxVnniIntegerKernels;
extern const IntegerKernels kAvx512VnniIntegerKernels;

}  // namespace qwen
