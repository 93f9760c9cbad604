// How the CPU backend lays out weights, activations, keys and values. Chosen so that one vector lane is one output (no
// horizontal sums), two neighbours along the summed dimension lie side by side (what a bf16 pair dot product eats), and
// every thread reads forward.
//
// clang-format off
// Weights, panels of kPanelRows outputs, rows and cols padded with zeros:
//     [rows / 32][cols / 2][32][2]
//     a panel: pair 0: w00 w01 w10 w11 … w31,0 w31,1 | pair 1: w02 w03 w12 w13 …
// Activations (MatmulInput): row-major; elements past `cols` stay zero. The stride is an odd number of cache lines, so
// that the rows of a tile fall into different cache sets.
// Keys and values, in tiles of kKvTile tokens; a block is one or more:
//     tile         [num_kv_heads][keys | values]
//     keys         [D / 2][64][2]            lane = token, pairs along the head dimension
//     values       [D / 64][64 / 2][64][2]   lane = dimension, pairs along the tokens
//     D = head_dim rounded up to kHeadDimUnit; the rest stays zero. The last slice of 64 dimensions may be narrower.
//     In int8: int8_kv_layout.h.
// Attention that reads them once, from memory, reads forward from the first key of a tile to the last value of its last
// head: only one stream at a time keeps the processor's own prefetching ahead of it.
// clang-format on
//
// Included by instruction-set files: see kernel_table.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace qwen {

constexpr int kPanelRows = 32;
constexpr int kKvTile = 64;  // tokens stored together; keys per online-softmax step, at absolute positions
constexpr int kHeadDimUnit = 16;
constexpr int kValueSlice = 64;  // dimensions
// Positions whose partial attention is computed on its own; partitions are merged in order.
constexpr int kPartition = 1024;
constexpr int kMaxHeadDim = 256;
constexpr int kMaxQueryRows = 64;  // query rows × heads of one attention task
constexpr size_t kCacheLine = 64;

// f32 queries, f32 scores and f32 probabilities of one task at the most.
constexpr size_t kAttentionScratchBytes =
    sizeof(float) * kMaxQueryRows * (kMaxHeadDim + kCacheLine + 2 * kKvTile + 2 * kCacheLine);

static inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

static inline int64_t panel_elements(int pairs) { return static_cast<int64_t>(pairs) * 2 * kPanelRows; }

static inline int64_t activation_stride(int cols, size_t element_size) {
  const int64_t per_line = static_cast<int64_t>(kCacheLine / element_size);
  const int64_t lines = (cols + per_line - 1) / per_line;
  return (lines | 1) * per_line;
}

static inline int padded_head_dim(int head_dim) { return static_cast<int>(round_up(head_dim, kHeadDimUnit)); }

// Where the slice of values with dimension `dim` begins, and how many dimensions are in it.
static inline int value_slice(int dim) { return dim / kValueSlice * kValueSlice; }
static inline int value_slice_width(int padded, int dim) {
  const int rest = padded - value_slice(dim);
  return rest < kValueSlice ? rest : kValueSlice;
}

// A row's partial attention: [D] weighted values, not yet divided; then the largest score and the sum of the weights.
static inline int attention_state_stride(int head_dim) { return padded_head_dim(head_dim) + kHeadDimUnit; }

}  // namespace qwen
