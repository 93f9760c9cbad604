// How large the KV cache becomes and how long a sequence may get. Arithmetic only.
#pragma once

#include <cstddef>

namespace qwen {

struct KvSizingInput {
  size_t bytes_per_token = 0;  // of all layers
  size_t free_memory = 0;      // bytes the backend has left
  size_t kv_cache_bytes = 0;   // asked for; 0 = a share of free_memory
  int block_size = 0;          // tokens
  int max_num_seqs = 0;
  int max_model_len = 0;  // asked for; 0 = the model's, at most kDefaultMaxModelLen
  int model_max_len = 0;  // positions the model has
};

struct KvSizing {
  int num_blocks = 0;
  size_t bytes = 0;       // of the blocks; as kv_cache_bytes they give the same blocks
  int max_model_len = 0;  // one sequence of this length always fits
};

inline constexpr int kDefaultMaxModelLen = 32768;

// Errors: kConfig where more positions are asked for than the model has or the asked-for bytes hold; kOs where free
// memory is too small.
KvSizing size_kv_cache(const KvSizingInput& input);

}  // namespace qwen
