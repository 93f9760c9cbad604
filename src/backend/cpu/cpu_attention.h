// Attention over the whole batch: cuts it into tasks for the pool and puts the partitions together again.
//
// A row's result is the merge, in order, of its partial results over fixed partitions of kPartition positions. So the
// same bits come out whether one thread walks all partitions of a query tile, head by head (prompts, whose tiles share
// the keys and values of a head), or each task takes one partition of one tile for as many heads as it can (decoding,
// which reads each key and value once, forward through memory).
#pragma once

#include <vector>

#include "backend/attention.h"
#include "backend/cpu/kernel_set.h"
#include "backend/tensor.h"
#include "base/thread_pool.h"

namespace qwen {

class CpuAttention {
 public:
  CpuAttention(const KernelSet& kernels, ThreadPool& pool);
  // Where the rows of the result go: elements of `type`, kF32 or the kernels' activation type.
  struct Output {
    std::byte* data;
    size_t row_bytes;
    DType type;
  };
  void run(const Output& out, const Tensor& qkv, const KvLayer& kv, const AttentionMetadata& metadata);

 private:
  struct Call {  // one run()
    const Output& out;
    const Tensor& qkv;
    const KvLayer& kv;
    const AttentionMetadata& metadata;
    int group;           // query heads per kv head
    int64_t state_size;  // floats of one tile and kv head, those of the largest
  };
  // Consecutive query rows of one sequence, as many as share each read of the keys and values.
  struct Tile {
    int sequence;
    int first_row;  // in the batch
    int rows;
    int first_position;  // in the sequence

    int context() const { return first_position + rows; }
  };

  // Consecutive kv heads of one sequence, and where their states go, `stride` floats apart.
  struct Heads {
    int first, count;
    float* state;
    int64_t stride;
  };

  void cut_into_tiles(const Call& call);
  void run_partition(const Call& call, const Tile& tile, const Heads& heads, int partition, int worker);
  void run_partitions(const Call& call, const Tile& tile, int kv_head, int worker);
  void merge(const Call& call, const Tile& tile, float* state, const float* partial) const;
  void finish(const Call& call, const Tile& tile, int kv_head, float* state) const;
  void run_split(const Call& call);
  std::byte* worker_scratch(int worker) {
    return scratch_.as<std::byte>() + static_cast<size_t>(worker) * kWorkerScratch;
  }

  static const size_t kWorkerScratch;

  const KernelSet& kernels_;
  ThreadPool& pool_;
  // Both are kept between calls: a step does not allocate once it has seen the largest batch.
  std::vector<Tile> tiles_;
  std::vector<int> first_span_;  // [tiles + 1]: spans are the partitions of all tiles in order
  DeviceBuffer scratch_;         // [threads]: the kernel's scratch, then two states
  DeviceBuffer split_states_;    // partial results of run_split, committed as it is touched
};

}  // namespace qwen
