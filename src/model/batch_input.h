// One step's input: any mix of sequences, each with its n newest tokens as consecutive rows (decode is n = 1). Plain
// host arrays.
#pragma once

#include <cstdint>
#include <vector>

namespace qwen {

struct BatchInput {
  std::vector<int32_t> token_ids, positions, slot_mapping;  // [num_tokens]
  std::vector<int32_t> query_start;                         // [num_seqs + 1]
  std::vector<int32_t> context_lens;                        // [num_seqs]: tokens in the cache after this step
  std::vector<int32_t> block_tables;                        // [num_seqs, max_blocks]
  int max_blocks = 0;
  std::vector<int32_t> logit_rows;  // rows whose logits are wanted

  int num_tokens() const { return static_cast<int>(token_ids.size()); }
  int num_seqs() const { return static_cast<int>(context_lens.size()); }
};

}  // namespace qwen
