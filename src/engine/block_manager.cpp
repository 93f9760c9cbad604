// See block_manager.h.
#include "engine/block_manager.h"

#include "base/error.h"

namespace qwen {

BlockManager::BlockManager(int num_blocks, int block_size) : block_size_(block_size) {
  QWEN_CHECK(num_blocks > 0 && block_size > 0);
  ref_counts_.resize(static_cast<size_t>(num_blocks));
  free_.reserve(static_cast<size_t>(num_blocks));
  for (int block = num_blocks - 1; block >= 0; --block) free_.push_back(block);
}

int BlockManager::match_prefix(Sequence& sequence) {
  QWEN_CHECK(sequence.block_table.empty());
  return 0;
}

bool BlockManager::allocate(Sequence& sequence, int num_tokens) {
  const size_t wanted = static_cast<size_t>(blocks_for(num_tokens));
  std::vector<int32_t>& table = sequence.block_table;
  if (wanted <= table.size()) return true;
  if (wanted - table.size() > free_.size()) return false;
  table.reserve(wanted);
  while (table.size() < wanted) {
    const int32_t block = free_.back();
    free_.pop_back();
    ref_counts_[static_cast<size_t>(block)] = 1;
    table.push_back(block);
  }
  return true;
}

void BlockManager::publish(const Sequence& sequence) {
  QWEN_CHECK(sequence.block_table.size() >= static_cast<size_t>(blocks_for(sequence.num_computed_tokens())));
}

void BlockManager::free(Sequence& sequence) {
  for (auto block = sequence.block_table.rbegin(); block != sequence.block_table.rend(); ++block) {
    int32_t& count = ref_counts_[static_cast<size_t>(*block)];
    QWEN_CHECK(count > 0);
    if (--count == 0) free_.push_back(*block);
  }
  sequence.block_table.clear();
}

}  // namespace qwen
