// How the CPU backend keeps keys and values in int8. A token's key or value of one head is what quant/integer_format.h
// makes of a row of activations: rotated and rounded in groups of 128 dimensions (a head of Qwen3 is one group), each
// with an f32 scale. Tiles as in layouts.h, of each head:
// clang-format off
//     keys    [G][64] f32 scales, [D / 4][64][4] of q + kKeyOffset   lane = token, fours along the head dimension
//     values  [G][64] f32 scales, [D / 64][64 / 4][64][4] of q       lane = dimension, fours along the tokens
//     D = padded_head_dim, G = integer_groups(head_dim)
// clang-format on
// Nothing depends on what stands in the padding, nor in slots that no token of the sequence has taken.
//
// Attention rotates and rounds queries in the same way, so scores are exact integer products times scales. What
// multiplies the values, probability · scale of the token's value, is rounded for every tile and group of dimensions to
// kCoarseSteps of the largest; to kFineSteps, and in two products, where a row gives one key of the tile more than
// kFineShare of all that it has given so far, which few tiles of a long context are. The weighted values stay rotated
// until all partitions are merged. Included by instruction-set files: see kernel_table.h.
#pragma once

#include "backend/cpu/integer_layouts.h"

namespace qwen {

constexpr int kKeyOffset = kInt8Offset;
constexpr int kMaxHeadGroups = kMaxHeadDim / kIntegerGroup;
constexpr int kLowBits = 7;
constexpr int kCoarseSteps = 255;
constexpr int kFineSteps = (1 << 2 * kLowBits) - 1;
constexpr float kFineShare = 1.0f / 8;

// From a tile's keys or values of one head to their numbers.
static inline int64_t int8_kv_scale_bytes(int head_dim) {
  return static_cast<int64_t>(sizeof(float)) * kKvTile * integer_groups(head_dim);
}

// A tile's keys or values of one head.
static inline int64_t int8_kv_bytes(int head_dim) {
  return int8_kv_scale_bytes(head_dim) + int64_t{kKvTile} * padded_head_dim(head_dim);
}

}  // namespace qwen
