#include "backend/cpu/cpu_attention.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/int8_kv_layout.h"
#include "backend/cpu/kv_storage.h"
#include "base/error.h"

namespace qwen {
namespace {

constexpr size_t kMaxState = size_t{kMaxQueryRows} * (kMaxHeadDim + kHeadDimUnit);  // floats
constexpr size_t kSplitBytes = size_t{64} << 20;  // 1 row, 32 heads, head_dim 128, 1 Mi tokens need 19 MiB

// Query rows × heads: divisible by the micro-kernels' 6 rows, and leaves the L1 cache to the keys.
constexpr int kTileRows = 48;

int num_partitions(int context) { return (context + kPartition - 1) / kPartition; }

}  // namespace

const size_t CpuAttention::kWorkerScratch = kAttentionScratchBytes + 2 * kMaxState * sizeof(float);

CpuAttention::CpuAttention(const KernelSet& kernels, ThreadPool& pool)
    : kernels_(kernels),
      pool_(pool),
      scratch_(allocate_host_memory(static_cast<size_t>(pool.threads()) * kWorkerScratch, "attention")),
      split_states_(allocate_host_memory(kSplitBytes, "attention")) {
  tiles_.reserve(1024);
}

void CpuAttention::cut_into_tiles(const Call& call) {
  tiles_.clear();
  const int tile_rows = std::max(1, kTileRows / call.group);
  const AttentionMetadata& m = call.metadata;
  for (int sequence = 0; sequence < m.num_seqs(); ++sequence) {
    const int begin = m.query_start[static_cast<size_t>(sequence)];
    const int end = m.query_start[static_cast<size_t>(sequence) + 1];
    const int first_position = m.context_lens[static_cast<size_t>(sequence)] - (end - begin);
    for (int row = begin; row < end; row += tile_rows) {
      tiles_.push_back({sequence, row, std::min(tile_rows, end - row), first_position + row - begin});
    }
  }
}

size_t CpuAttention::state_size(const Call& call) const {
  const size_t rows = static_cast<size_t>(std::max(1, kTileRows / call.group) * call.group);
  return rows * static_cast<size_t>(attention_state_stride(call.kv.heads.head_dim));
}

void CpuAttention::run(const Output& out, const Tensor& qkv, const KvLayer& kv, const AttentionMetadata& metadata) {
  QWEN_CHECK(qkv.shape[1] == kv.heads.qkv_size());
  const Call call{out, qkv, kv, metadata, kv.heads.num_heads / kv.heads.num_kv_heads};
  cut_into_tiles(call);
  const int num_tiles = static_cast<int>(tiles_.size());
  int partitions = 1;
  for (const Tile& tile : tiles_) partitions = std::max(partitions, num_partitions(tile.context()));

  const int tasks = num_tiles * kv.heads.num_kv_heads;
  const size_t states = static_cast<size_t>(tasks) * static_cast<size_t>(partitions);
  if (partitions > 1 && tasks < 4 * pool_.threads() && pool_.threads() > 1 &&
      states * state_size(call) * sizeof(float) <= kSplitBytes) {
    return run_split(call, partitions);
  }
  // Heads outermost: the tiles of a prompt share the keys and values of their head.
  pool_.run(tasks, [&](int task, int worker) {
    run_partitions(call, tiles_[static_cast<size_t>(task % num_tiles)], task / num_tiles, worker);
  });
}

void CpuAttention::run_partition(const Call& call, const Tile& tile, int kv_head, int partition, float* state,
                                 int worker) {
  const HeadShape& heads = call.kv.heads;
  const int begin = partition * kPartition;
  const bool integer = call.kv.dtype == DType::kI8 && kernels_.integer != nullptr;
  const auto attention = integer ? kernels_.integer->attention : kernels_.table.attention;
  attention({
      .q = call.qkv.buffer.as<float>() + int64_t{tile.first_row} * heads.qkv_size() +
           kv_head * call.group * heads.head_dim,
      .q_stride = heads.qkv_size(),
      .rows = tile.rows,
      .group = call.group,
      .head_dim = heads.head_dim,
      .scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim)),
      .first_position = tile.first_position,
      .kv = kv_view(call.kv, kv_head,
                    call.metadata.block_tables.data() +
                        static_cast<size_t>(tile.sequence) * static_cast<size_t>(call.metadata.max_blocks)),
      .kv_type = call.kv.dtype,
      .begin = begin,
      .end = std::min(begin + kPartition, tile.context()),
      .state = state,
      .scratch = worker_scratch(worker),
  });
}

void CpuAttention::merge(const Call& call, const Tile& tile, float* state, const float* partial) const {
  kernels_.table.attention_merge(
      {.state = state, .partial = partial, .rows = tile.rows * call.group, .head_dim = call.kv.heads.head_dim});
}

void CpuAttention::finish(const Call& call, const Tile& tile, int kv_head, float* state) const {
  const int head_dim = call.kv.heads.head_dim, stride = attention_state_stride(head_dim);
  if (call.kv.dtype == DType::kI8) {
    const auto rotate = (kernels_.integer ? *kernels_.integer : kScalarIntegerKernels).rotate;
    for (int row = 0; row < tile.rows * call.group; ++row) {
      for (int d = 0; d < head_dim; d += kIntegerGroup)
        rotate(state + int64_t{row} * stride + d, std::min(head_dim - d, kIntegerGroup));
    }
  }
  const size_t head_bytes = static_cast<size_t>(kv_head * call.group * head_dim) * dtype_size(call.out.type);
  for (int row = 0; row < tile.rows; ++row) {
    kernels_.table.attention_finish({
        .out = call.out.data + static_cast<size_t>(tile.first_row + row) * call.out.row_bytes + head_bytes,
        .out_type = call.out.type,
        .state = state + int64_t{row} * call.group * stride,
        .group = call.group,
        .head_dim = head_dim,
    });
  }
}

void CpuAttention::run_partitions(const Call& call, const Tile& tile, int kv_head, int worker) {
  float* const state = reinterpret_cast<float*>(worker_scratch(worker) + kAttentionScratchBytes);
  float* const partial = state + kMaxState;
  run_partition(call, tile, kv_head, 0, state, worker);
  for (int partition = 1; partition < num_partitions(tile.context()); ++partition) {
    run_partition(call, tile, kv_head, partition, partial, worker);
    merge(call, tile, state, partial);
  }
  finish(call, tile, kv_head, state);
}

void CpuAttention::run_split(const Call& call, int partitions) {
  const int num_tiles = static_cast<int>(tiles_.size()), units = num_tiles * call.kv.heads.num_kv_heads;
  const size_t size = state_size(call);
  const auto state = [&](int unit, int partition) {
    return split_states_.as<float>() +
           (static_cast<size_t>(unit) * static_cast<size_t>(partitions) + static_cast<size_t>(partition)) * size;
  };
  pool_.run(units * partitions, [&](int task, int worker) {
    const int unit = task / partitions, partition = task % partitions;
    const Tile& tile = tiles_[static_cast<size_t>(unit % num_tiles)];
    if (partition >= num_partitions(tile.context())) return;
    run_partition(call, tile, unit / num_tiles, partition, state(unit, partition), worker);
  });
  pool_.run(units, [&](int unit, int) {
    const Tile& tile = tiles_[static_cast<size_t>(unit % num_tiles)];
    for (int partition = 1; partition < num_partitions(tile.context()); ++partition) {
      merge(call, tile, state(unit, 0), state(unit, partition));
    }
    finish(call, tile, unit / num_tiles, state(unit, 0));
  });
}

}  // namespace qwen
