// See direct_runner.h.
#include "commands/direct_runner.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "base/error.h"

namespace qwen {

DirectRunner::DirectRunner(CausalLm& model, int num_sequences, int max_length)
    : model_(model),
      blocks_per_sequence_((max_length + model.backend().kv_block_size() - 1) / model.backend().kv_block_size()),
      cache_(model.backend(), model.backend().kv_dtype(), static_cast<int>(model.config().num_hidden_layers),
             num_sequences * blocks_per_sequence_, model.backend().kv_block_size(), model.config().heads()),
      lengths_(static_cast<size_t>(num_sequences), 0) {}

std::span<const float> DirectRunner::step(std::span<const Chunk> chunks) {
  const int block_size = cache_.block_size();
  batch_ = {};
  batch_.max_blocks = blocks_per_sequence_;
  batch_.query_start.push_back(0);
  for (const Chunk& chunk : chunks) {
    int& length = lengths_[static_cast<size_t>(chunk.sequence)];
    const int first_block = chunk.sequence * blocks_per_sequence_;
    QWEN_CHECK(length + static_cast<int>(chunk.tokens.size()) <= blocks_per_sequence_ * block_size);
    for (const TokenId id : chunk.tokens) {
      if (chunk.logits == Logits::kAll) batch_.logit_rows.push_back(batch_.num_tokens());
      batch_.token_ids.push_back(id);
      batch_.positions.push_back(length);
      batch_.slot_mapping.push_back(first_block * block_size + length);
      ++length;
    }
    if (chunk.logits == Logits::kLast) batch_.logit_rows.push_back(batch_.num_tokens() - 1);
    batch_.query_start.push_back(batch_.num_tokens());
    batch_.context_lens.push_back(length);
    for (int i = 0; i < blocks_per_sequence_; ++i) batch_.block_tables.push_back(first_block + i);
  }
  const Tensor& logits = model_.forward(batch_, cache_);
  if (batch_.logit_rows.empty()) return {};
  return model_.backend().read_f32(logits, static_cast<int>(batch_.logit_rows.size()), host_logits_);
}

std::span<const float> DirectRunner::prefill(int sequence, std::span<const TokenId> tokens, int chunk) {
  const size_t most = static_cast<size_t>(std::clamp(chunk, 1, model_.max_batched_tokens()));
  std::span<const float> logits;
  while (!tokens.empty()) {
    const size_t n = std::min(most, tokens.size());
    const Chunk step_chunk{sequence, tokens.first(n), n == tokens.size() ? Logits::kLast : Logits::kNone};
    logits = step({&step_chunk, 1});
    tokens = tokens.subspan(n);
  }
  return logits;
}

void DirectRunner::fill(int sequence, int length) {
  const int block_size = cache_.block_size();
  QWEN_CHECK(length <= blocks_per_sequence_ * block_size);
  Backend& backend = model_.backend();
  const int width = model_.config().heads().qkv_size();
  std::vector<float> values(static_cast<size_t>(block_size) * static_cast<size_t>(width));
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.7f, 1.7f);  // variance 1, as normalized keys have it
  for (float& value : values) value = uniform(random);
  Tensor qkv = backend.alloc(DType::kF32, {block_size, width});
  backend.upload(qkv, {DType::kF32, qkv.shape, reinterpret_cast<const std::byte*>(values.data())});
  std::vector<int32_t> slots(static_cast<size_t>(block_size));
  for (int at = 0; at < length; at += block_size) {
    slots.resize(static_cast<size_t>(std::min(block_size, length - at)));
    std::iota(slots.begin(), slots.end(), sequence * blocks_per_sequence_ * block_size + at);
    for (int layer = 0; layer < model_.config().num_hidden_layers; ++layer)
      backend.store_kv(cache_.layer(layer), qkv, slots);
  }
  truncate(sequence, length);
}

}  // namespace qwen
