// One sequence through a model, as the engine would feed it: chunks of tokens over scattered blocks of a KV cache.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/token_id.h"
#include "model/causal_lm.h"

namespace qwen {

class ModelDriver {
 public:
  ModelDriver(CausalLm& model, int max_len)
      : model_(model),
        cache_(model.backend(), model.backend().kv_dtype(), static_cast<int>(model.config().num_hidden_layers),
               (max_len + kBlockSize - 1) / kBlockSize, kBlockSize,
               {static_cast<int>(model.config().num_attention_heads),
                static_cast<int>(model.config().num_key_value_heads), static_cast<int>(model.config().head_dim)}) {}

  // Appends `ids` in chunks of at most `chunk` tokens; returns the logits of each of them.
  std::vector<std::vector<float>> append(std::span<const TokenId> ids, int chunk) {
    std::vector<std::vector<float>> rows;
    while (!ids.empty()) {
      const size_t count =
          std::min({ids.size(), static_cast<size_t>(chunk), static_cast<size_t>(model_.max_logit_rows())});
      BatchInput batch;
      for (size_t i = 0; i < count; ++i) {
        const int position = length_ + static_cast<int>(i);
        batch.token_ids.push_back(ids[i]);
        batch.positions.push_back(position);
        batch.slot_mapping.push_back(block(position) * kBlockSize + position % kBlockSize);
        batch.logit_rows.push_back(static_cast<int32_t>(i));
      }
      length_ += static_cast<int>(count);
      batch.query_start = {0, static_cast<int32_t>(count)};
      batch.context_lens = {length_};
      batch.max_blocks = cache_.num_blocks();
      for (int i = 0; i < batch.max_blocks; ++i) batch.block_tables.push_back(block(i * kBlockSize));
      const std::span<const float> logits =
          model_.backend().read_f32(model_.forward(batch, cache_), static_cast<int>(count), scratch_);
      const size_t vocab_size = logits.size() / count;
      for (size_t i = 0; i < count; ++i) {
        const std::span<const float> row = logits.subspan(i * vocab_size, vocab_size);
        rows.emplace_back(row.begin(), row.end());
      }
      ids = ids.subspan(count);
    }
    return rows;
  }

  static TokenId argmax(const std::vector<float>& row) {
    return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
  }

 private:
  static constexpr int kBlockSize = 64;

  int block(int position) const { return cache_.num_blocks() - 1 - position / kBlockSize; }

  CausalLm& model_;
  KvCache cache_;
  int length_ = 0;
  std::vector<float> scratch_;
};

}  // namespace qwen
