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
constexpr int kTasksPerThread = 2;                // the fewer, the longer a thread reads forward

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
  first_span_.reserve(1025);
}

void CpuAttention::cut_into_tiles(const Call& call) {
  tiles_.clear();
  first_span_.assign(1, 0);
  const int tile_rows = std::max(1, kTileRows / call.group);
  const AttentionMetadata& m = call.metadata;
  for (int sequence = 0; sequence < m.num_seqs(); ++sequence) {
    const int begin = m.query_start[static_cast<size_t>(sequence)];
    const int end = m.query_start[static_cast<size_t>(sequence) + 1];
    const int first_position = m.context_lens[static_cast<size_t>(sequence)] - (end - begin);
    for (int row = begin; row < end; row += tile_rows) {
      tiles_.push_back({sequence, row, std::min(tile_rows, end - row), first_position + row - begin});
      first_span_.push_back(first_span_.back() + num_partitions(tiles_.back().context()));
    }
  }
}

void CpuAttention::run(const Output& out, const Tensor& qkv, const KvLayer& kv, const AttentionMetadata& metadata) {
  QWEN_CHECK(qkv.shape[1] == kv.heads.qkv_size());
  int most_rows = 0;
  Call call{out, qkv, kv, metadata, kv.heads.num_heads / kv.heads.num_kv_heads, 0};
  cut_into_tiles(call);
  for (const Tile& tile : tiles_) most_rows = std::max(most_rows, tile.rows * call.group);
  call.state_size = int64_t{most_rows} * attention_state_stride(kv.heads.head_dim);

  const int num_tiles = static_cast<int>(tiles_.size()), tasks = num_tiles * kv.heads.num_kv_heads;
  const bool few_tasks = tasks < kTasksPerThread * pool_.threads();
  const bool all_heads_at_once = most_rows * kv.heads.num_kv_heads <= kMaxQueryRows;
  const size_t states = static_cast<size_t>(first_span_.back()) * static_cast<size_t>(kv.heads.num_kv_heads) *
                        static_cast<size_t>(call.state_size);
  if ((few_tasks || all_heads_at_once) && states * sizeof(float) <= kSplitBytes) return run_split(call);
  // Heads outermost: the tiles of a prompt share the keys and values of their head.
  pool_.run(tasks, [&](int task, int worker) {
    run_partitions(call, tiles_[static_cast<size_t>(task % num_tiles)], task / num_tiles, worker);
  });
}

void CpuAttention::run_partition(const Call& call, const Tile& tile, const Heads& range, int partition, int worker) {
  const HeadShape& heads = call.kv.heads;
  const int begin = partition * kPartition;
  const bool integer = call.kv.dtype == DType::kI8 && kernels_.integer != nullptr;
  const auto attention = integer ? kernels_.integer->attention : kernels_.table.attention;
  attention({
      .q = call.qkv.buffer.as<float>() + int64_t{tile.first_row} * heads.qkv_size() +
           range.first * call.group * heads.head_dim,
      .q_stride = heads.qkv_size(),
      .rows = tile.rows,
      .kv_heads = range.count,
      .group = call.group,
      .head_dim = heads.head_dim,
      .scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim)),
      .first_position = tile.first_position,
      .kv = kv_view(call.kv, range.first,
                    call.metadata.block_tables.data() +
                        static_cast<size_t>(tile.sequence) * static_cast<size_t>(call.metadata.max_blocks)),
      .kv_type = call.kv.dtype,
      .begin = begin,
      .end = std::min(begin + kPartition, tile.context()),
      .state = range.state,
      .head_state_stride = range.stride,
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
  run_partition(call, tile, {kv_head, 1, state, 0}, 0, worker);
  for (int partition = 1; partition < num_partitions(tile.context()); ++partition) {
    run_partition(call, tile, {kv_head, 1, partial, 0}, partition, worker);
    merge(call, tile, state, partial);
  }
  finish(call, tile, kv_head, state);
}

void CpuAttention::run_split(const Call& call) {
  const int num_tiles = static_cast<int>(tiles_.size()), spans = first_span_.back();
  const int kv_heads = call.kv.heads.num_kv_heads;
  int parts = 1;  // of a span's heads: as few as leave every thread its tasks
  for (const Tile& tile : tiles_) {
    const int at_once = std::max(1, kMaxQueryRows / (tile.rows * call.group));
    parts = std::max(parts, (kv_heads + at_once - 1) / at_once);
  }
  while (parts < kv_heads && spans * parts < kTasksPerThread * pool_.threads()) parts *= 2;
  parts = std::min(parts, kv_heads);
  const auto state = [&](int span, int kv_head) {
    return split_states_.as<float>() + (int64_t{span} * kv_heads + kv_head) * call.state_size;
  };
  pool_.run(spans * parts, [&](int task, int worker) {
    const int span = task / parts, part = task % parts;
    const auto after = std::upper_bound(first_span_.begin(), first_span_.end(), span);
    const Tile& tile = tiles_[static_cast<size_t>(after - first_span_.begin() - 1)];
    const int first = kv_heads * part / parts, end = kv_heads * (part + 1) / parts;
    run_partition(call, tile, {first, end - first, state(span, first), call.state_size}, span - after[-1], worker);
    if (after[0] - after[-1] > 1) return;
    for (int head = first; head < end; ++head) finish(call, tile, head, state(span, head));
  });
  if (spans == num_tiles) return;
  pool_.run(num_tiles * kv_heads, [&](int task, int) {
    const size_t index = static_cast<size_t>(task / kv_heads);
    const int kv_head = task % kv_heads, first = first_span_[index], after = first_span_[index + 1];
    if (after - first == 1) return;
    for (int span = first + 1; span < after; ++span)
      merge(call, tiles_[index], state(first, kv_head), state(span, kv_head));
    finish(call, tiles_[index], kv_head, state(first, kv_head));
  });
}

}  // namespace qwen
