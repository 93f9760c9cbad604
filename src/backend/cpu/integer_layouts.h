// How the CPU backend lays out int8 and int4 weights and the activations that they multiply (quant/integer_format.h).
//
// Weights, panels of kPanelRows outputs, one after the other: [rows / 32][groups of 128 inputs] of the structs below.
// Four neighbours along the inputs lie side by side: what one lane of a 4-way byte dot product eats. A thread reads
// scales and weights as one forward stream. Weights are unsigned, q + kInt8Offset or q + kInt4Offset: the product with
// the offset is the activations' sum times a constant, which every kernel takes off in integers. Activations: a row is
// [groups] of Int8Activations, padded to an odd number of cache lines. Rows, and inputs past `cols`, are padded with q
// = 0. Included by instruction-set files: see kernel_table.h.
#pragma once

#include "backend/cpu/layouts.h"
#include "quant/integer_format.h"

namespace qwen {

// Counted up with every change of the layouts, or of the bits that quantizing gives: files of packed weights carry it.
constexpr int kIntegerPackingVersion = 1;

constexpr int kInt8Offset = 128, kInt4Offset = 8;
constexpr int kQuads = kIntegerGroup / 4;  // of a group

struct Int8Panel {  // one group
  uint16_t scales[kPanelRows];
  uint8_t q[kQuads][kPanelRows][4];
};

// A byte holds input 8·i + j in its low and 8·i + 4 + j in its high half.
struct Int4Panel {
  uint16_t scales[kPanelRows];
  uint8_t q[kQuads / 2][kPanelRows][4];
};

// The same of half a group: two of them, one after the other, are a group of group size 64.
struct Int4HalfPanel {
  uint16_t scales[kPanelRows];
  uint8_t q[kQuads / 4][kPanelRows][4];
};

struct Int8Activations {
  int8_t q[kIntegerGroup];
  float scale;
  int32_t minus_sum;           // - Σ q
  int32_t minus_half_sums[2];  // of each half
};

static_assert(sizeof(Int8Panel) % kCacheLine == 0 && sizeof(Int4Panel) % kCacheLine == 0 &&
              sizeof(Int4HalfPanel) % kCacheLine == 0);
static_assert(sizeof(Int8Activations) % 16 == 0);

static inline int integer_groups(int cols) { return (cols + kIntegerGroup - 1) / kIntegerGroup; }

static inline size_t int8_row_bytes(int cols) {
  const size_t bytes = static_cast<size_t>(integer_groups(cols)) * sizeof(Int8Activations);
  return ((bytes + kCacheLine - 1) / kCacheLine | 1) * kCacheLine;
}

}  // namespace qwen
