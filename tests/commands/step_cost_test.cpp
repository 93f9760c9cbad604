#include "commands/step_cost.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

ModelConfig small() {
  ModelConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 32;
  return config;
}

TEST(StepCost, DecodeReadsWeightsOnceAndEverySequencesKeysAndValues) {
  // A layer: q and o 8·16 each, k and v 8·8 each, three MLP matrices 8·16. Head 32·8.
  EXPECT_EQ(layer_values(small()), 2 * (2 * 128 + 2 * 64 + 3 * 128));
  EXPECT_EQ(head_values(small()), 256);
  const StepCost cost(small(), 5000, 100);
  EXPECT_EQ(cost.decode_bytes(1, 0), 5000 + 100);
  EXPECT_EQ(cost.decode_bytes(4, 9), 5000 + 4 * 10 * 100);
}

TEST(StepCost, DecodeComputesEveryWeightForEverySequence) {
  const StepCost cost(small(), 5000, 100);
  const double values = 2 * (2 * 128 + 2 * 64 + 3 * 128) + 256;
  EXPECT_EQ(cost.decode_operations(1, 0), 2 * values + 4 * 2 * 16);
  EXPECT_EQ(cost.decode_operations(4, 9), 4 * (2 * values + 4 * 2 * 16 * 10));
}

TEST(StepCost, PrefillCountsEachPairOfQueryAndKeyOnce) {
  const StepCost cost(small(), 5000, 100);
  const double layer_weights = 2 * (2 * 128 + 2 * 64 + 3 * 128);
  const double head = 2 * 256;
  EXPECT_EQ(cost.prefill_operations(1, 0), 2 * layer_weights + head + 4 * 2 * 16 * 1);
  EXPECT_EQ(cost.prefill_operations(3, 10), 3 * 2 * layer_weights + head + 4 * 2 * 16 * (11 + 12 + 13));
}

}  // namespace
}  // namespace qwen
