// What attention needs to know: head geometry, the paged KV storage of one layer, and where each sequence's tokens lie.
#pragma once

#include <cstdint>
#include <span>

#include "backend/tensor.h"

namespace qwen {

struct HeadShape {
  int num_heads = 0;     // query heads
  int num_kv_heads = 0;  // divides num_heads
  int head_dim = 0;      // even

  int q_size() const { return num_heads * head_dim; }
  int kv_size() const { return num_kv_heads * head_dim; }
  int qkv_size() const {
    return q_size() + 2 * kv_size();
  }  // a row of `qkv`: all query heads, all key heads, all value heads
};

// One layer's keys and values in num_blocks blocks of block_size tokens. Slot s is token s % block_size of block s /
// block_size. The layout within a block is private to the backend.
struct KvLayer {
  DType dtype = DType::kBF16;
  int num_blocks = 0;
  int block_size = 0;
  HeadShape heads;
  DeviceBuffer buffer;
};

// A flat batch of sequences, each with its newest tokens as consecutive rows: rows query_start[i] … query_start[i+1]-1
// belong to sequence i and are its positions context_lens[i] - n … context_lens[i] - 1. Keys and values of all
// positions < context_lens[i] have been stored. Position p of sequence i lies in block block_tables[i * max_blocks + p
// / block_size].
struct AttentionMetadata {
  std::span<const int32_t> query_start;   // [num_seqs + 1]
  std::span<const int32_t> context_lens;  // [num_seqs]
  std::span<const int32_t> block_tables;  // [num_seqs, max_blocks]
  int max_blocks = 0;
  int num_seqs() const { return static_cast<int>(context_lens.size()); }
};

}  // namespace qwen
