// The keys and values of all layers, in blocks. Holds bytes only; which block belongs to whom is BlockManager's
// business.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace qwen {

class KvCache {
 public:
  KvCache(Backend& backend, DType dtype, int num_layers, int num_blocks, int block_size, const HeadShape& heads);

  KvLayer& layer(int i) { return layers_[static_cast<size_t>(i)]; }
  int num_blocks() const { return num_blocks_; }
  int block_size() const { return block_size_; }

 private:
  int num_blocks_;
  int block_size_;
  std::vector<KvLayer> layers_;
};

}  // namespace qwen
