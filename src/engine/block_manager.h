// Who holds which block of the KV cache. Counts references in integers; the bytes are KvCache's.
// Invariant: every block is either free or referenced by the block tables that name it, exactly as often as its count
// says.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sequence.h"

namespace qwen {

class BlockManager {
 public:
  BlockManager(int num_blocks, int block_size);

  // Puts the cached blocks that hold the longest known prefix of the sequence into its empty block table; returns their
  // tokens, always fewer than the sequence has. Without a prefix index no prefix is known.
  int match_prefix(Sequence& sequence);
  // Makes the block table cover the first `num_tokens` tokens. All or nothing: false where too few blocks are free.
  bool allocate(Sequence& sequence, int num_tokens);
  // The first num_computed_tokens are in the cache from now on: full blocks may be found by match_prefix. Called after
  // every step.
  void publish(const Sequence& sequence);
  // Gives the sequence's references back and empties its block table.
  void free(Sequence& sequence);

  int blocks_for(int num_tokens) const { return (num_tokens + block_size_ - 1) / block_size_; }
  int num_blocks() const { return static_cast<int>(ref_counts_.size()); }
  int num_free_blocks() const { return static_cast<int>(free_.size()); }
  int block_size() const { return block_size_; }
  int ref_count(int block) const { return ref_counts_[static_cast<size_t>(block)]; }

 private:
  int block_size_;
  std::vector<int32_t> ref_counts_;
  std::vector<int32_t> free_;  // a stack: what was used last is used first, so lazily committed memory stays small
};

}  // namespace qwen
