// How the CPU backend lays out the weights of GPTQ and AWQ folders and the activations that they multiply
// (quant/grouped_format.h).
//
// Weights: panels of kPanelRows outputs, one after the other; a panel is its groups, one after the other; a group is
//     scales  [kPanelRows]  f16, or f32 with wide_scales
//     zeros   [kPanelRows]  f16, z - c; with zero_points only
//     q       [blocks of the group][16 / inputs of a step][kPanelRows][4]  the integers as stored, unsigned
// 8 bits: a step is 4 inputs, one byte each. 4 bits: it is 8 inputs, a byte holds input 8·i + j in its low and
// 8·i + 4 + j in its high half. So everything begins on a cache line, a thread reads one forward stream, and steps are
// those of integer_layouts.h. Rows past the last have scale 0. After the panels of a reordered matrix: [cols] int32,
// the input that stands at each place.
// Activations: a row is [grouped_blocks(cols)] of GroupedActivations, padded to an odd number of cache lines.
// Included by instruction-set files: see kernel_table.h.
#pragma once

#include "backend/cpu/layouts.h"
#include "quant/grouped_format.h"

namespace qwen {

// Counted up with every change of the layout: files of packed weights carry it.
constexpr int kGroupedPackingVersion = 1;

constexpr size_t kGroupedStepBytes = 4 * kPanelRows;

struct GroupedActivations {  // one block
  int8_t q[kGroupedBlock];
  float scale;
  float sum;      // scale · Σ q
  int32_t start;  // - 8 · Σ q: where the sums of 4-bit weights begin that hold 8 too much
};
static_assert(sizeof(GroupedActivations) == kGroupedBlock + 12);

static inline int grouped_blocks(int cols) { return (cols + kGroupedBlock - 1) / kGroupedBlock; }

static inline size_t grouped_block_bytes(int bits) {
  return static_cast<size_t>(kGroupedBlock * kPanelRows) * static_cast<size_t>(bits) / 8;
}

static inline size_t grouped_scale_bytes(bool wide) { return kPanelRows * (wide ? sizeof(float) : sizeof(uint16_t)); }

static inline size_t grouped_header_bytes(bool wide, bool zero_points) {
  return grouped_scale_bytes(wide) + (zero_points ? kPanelRows * sizeof(uint16_t) : 0);
}

static inline size_t grouped_row_bytes(int cols) {
  const size_t bytes = static_cast<size_t>(grouped_blocks(cols)) * sizeof(GroupedActivations);
  return ((bytes + kCacheLine - 1) / kCacheLine | 1) * kCacheLine;
}

}  // namespace qwen
