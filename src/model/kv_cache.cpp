// See kv_cache.h.
#include "model/kv_cache.h"

namespace qwen {

KvCache::KvCache(Backend& backend, DType dtype, int num_layers, int num_blocks, int block_size, const HeadShape& heads)
    : num_blocks_(num_blocks), block_size_(block_size) {
  layers_.reserve(static_cast<size_t>(num_layers));
  for (int i = 0; i < num_layers; ++i) layers_.push_back(backend.alloc_kv(dtype, num_blocks, block_size, heads));
}

}  // namespace qwen
