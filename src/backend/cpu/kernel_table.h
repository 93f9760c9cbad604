// The CPU kernels of one instruction set, as plain function pointers. The scalar table is complete and is the
// specification; a null entry elsewhere means the scalar one (kernel_set.h fills it in).
//
// Invariant of every kernel: each output is one accumulation in an order fixed by the shape (and, in attention, by the
// absolute position) alone, so that a row's bits do not depend on the rows, columns or positions that a call happens to
// cover.
//
// Included by files compiled with instruction-set flags: no std headers with templates, no inline functions with
// external linkage. Layouts: layouts.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "backend/cpu/layouts.h"
#include "base/dtype_enum.h"

namespace qwen {

// out = x · wᵀ (+ bias) for `rows` rows and the columns of consecutive weight panels; pointers are those of the first
// column.
struct MatmulTask {
  const void* x;  // activation rows
  int64_t x_stride;
  DType x_type;
  const void* w;  // packed panels
  DType w_type;
  float* out;
  int64_t out_stride;
  const float* bias;  // or null
  int rows;
  int columns;  // the last panel may be partly padding
  int pairs;    // along the input features, odd tail padded with zero
};

// One row: v = x + delta (delta may be null), residual = v (where not null), out = v · rsqrt(mean(v²) + eps) · weight.
// An out_type is kF32 or the element type that the set's dot products read.
struct RmsNormTask {
  void* out;
  DType out_type;
  const float* x;
  const float* delta;
  float* residual;
  const float* weight;
  float eps;
  int cols;
};

// One head, in place: RMSNorm with the weight, then rotary embedding in the rotate-half form. cos, sin: [head_dim / 2].
struct NormRopeTask {
  float* head;
  const float* weight;
  const float* cos;
  const float* sin;
  float eps;
  int head_dim;
};

// One row: out[i] = silu(gate[i]) · up[i].
struct SiluMulTask {
  void* out;
  DType out_type;
  const float* gate;
  const float* up;
  int n;
};

// One sequence's keys and values of consecutive kv heads. Strides are in bytes.
struct KvView {
  const uint8_t* tiles;        // the first of the heads in the cache's first tile
  int64_t tile_stride;         // from a tile to the next
  int64_t head_stride;         // from a head's keys to the next head's
  int64_t values;              // from a head's keys to its values
  const int32_t* block_table;  // [blocks of the sequence]: position p stands in block block_table[p / block_size]
  int block_size;              // tokens, a multiple of kKvTile
};

// The keys of one head in the tile of `position`.
static inline const uint8_t* kv_tile(const KvView& kv, int head, int position) {
  const int64_t block = kv.block_table[position / kv.block_size];
  const int64_t tile = block * (kv.block_size / kKvTile) + position % kv.block_size / kKvTile;
  return kv.tiles + tile * kv.tile_stride + head * kv.head_stride;
}

// Attention of consecutive query rows of one sequence, `kv_heads` times `group` query heads that share one kv head,
// over the positions [begin, end) of one partition: causal, so row r sees positions ≤ first_position + r. The values of
// an int8 cache are rotated (int8_kv_layout.h), and so is what the states sum up of them. A head's bits do not depend
// on the others: tile by tile in turn they read the cache forward.
struct AttentionTask {
  const float* q;  // [rows, kv_heads, group, head_dim]
  int64_t q_stride;
  int rows;
  int kv_heads;  // kv_heads · rows · group ≤ kMaxQueryRows
  int group;
  int head_dim;
  float scale;
  int first_position;
  KvView kv;
  DType kv_type;
  int begin;     // a multiple of kPartition
  int end;       // ≤ begin + kPartition, ≤ first_position + rows
  float* state;  // out: [kv_heads] of [rows · group] of attention_state_stride(head_dim); length 0: saw nothing
  int64_t head_state_stride;
  void* scratch;  // kAttentionScratchBytes, 64-byte aligned
};

struct AttentionMergeTask {
  float* state;          // earlier partitions, updated
  const float* partial;  // the next partition
  int rows;              // rows · group
  int head_dim;
};

struct AttentionFinishTask {
  void* out;  // [group, head_dim] of one query row
  DType out_type;
  const float* state;
  int group;
  int head_dim;
};

struct KernelTable {
  void (*matmul)(const MatmulTask&);
  void (*rms_norm)(const RmsNormTask&);
  void (*norm_rope)(const NormRopeTask&);
  void (*silu_and_mul)(const SiluMulTask&);
  void (*attention)(const AttentionTask&);
  void (*attention_merge)(const AttentionMergeTask&);
  void (*attention_finish)(const AttentionFinishTask&);
  // What the machine can do, for the roofline beside a measurement. probe_read sums the bytes (a multiple of 256,
  // 64-byte aligned); probe_dot runs that many rounds of the matmul's multiply-accumulate and returns the
  // floating-point operations done.
  uint64_t (*probe_read)(const void* data, size_t bytes);
  double (*probe_dot)(int64_t rounds);
};

extern const KernelTable kScalarKernels;
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Bf16Kernels;

}  // namespace qwen
