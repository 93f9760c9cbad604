#include "commands/memory_estimate.h"

#include <gtest/gtest.h>

#include "commands/format_number.h"
#include "model/weight_formats.h"

namespace qwen {
namespace {

ModelConfig qwen3_4b() {
  ModelConfig config;
  config.hidden_size = 2560;
  config.intermediate_size = 9728;
  config.num_hidden_layers = 36;
  config.num_attention_heads = 32;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  config.vocab_size = 151936;
  config.max_position_embeddings = 262144;
  config.tie_word_embeddings = true;
  return config;
}

TEST(MemoryEstimate, Qwen3With4BParameters) {
  const std::vector<FormatEstimate> estimates = estimate_weights(qwen3_4b());
  ASSERT_EQ(estimates.size(), 3u);
  // 4,022,468,096 parameters, of which 3,633,315,840 in linear layers.
  EXPECT_EQ(estimates[0].weight_bytes, 4022468096 * 2);
  const int64_t norms = 36 * (2 * 2560 + 2 * 128) + 2560, matrices = 4022468096 - norms, linear = 3633315840;
  EXPECT_EQ(estimates[1].weight_bytes, norms * 2 + matrices + matrices / 128 * 2);
  EXPECT_EQ(estimates[2].weight_bytes,
            norms * 2 + linear / 2 + linear / 128 * 2 + (matrices - linear) + (matrices - linear) / 128 * 2);
  EXPECT_EQ(kv_bytes_per_token(qwen3_4b(), DType::kBF16), 147456);
  EXPECT_EQ(kv_bytes_per_token(qwen3_4b(), DType::kI8), 36 * 2 * 8 * (128 + 4));
}

TEST(MemoryEstimate, AFoldersOwnIntegersStay) {
  ModelConfig config = qwen3_4b();
  const int64_t linear = 3633315840, embedding = int64_t{151936} * 2560, norms = 4022468096 - linear - embedding;
  config.quantization = {"gptq", {.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 128}, {}};
  std::vector<FormatEstimate> estimates = estimate_weights(config);
  ASSERT_EQ(estimates.size(), 2u);
  EXPECT_EQ(estimates[0].weight_bytes, norms * 2 + linear / 2 + linear / 128 * 2 + embedding * 2);
  EXPECT_EQ(estimates[1].weight_bytes, norms * 2 + linear / 2 + linear / 128 * 2 + embedding + embedding / 128 * 2);
  config.quantization = {"awq", {.kind = QuantFormat::Kind::kAwq, .bits = 4, .group_size = 128}, {}};
  estimates = estimate_weights(config);
  EXPECT_EQ(estimates[0].weight_bytes, norms * 2 + linear / 2 + linear / 128 * 4 + embedding * 2);
  config.quantization = {"gptq", {.kind = QuantFormat::Kind::kGptq, .bits = 4, .group_size = 40}, {}};
  EXPECT_EQ(estimate_weights(config)[0].weight_bytes, 4022468096 * 2);
}

TEST(MemoryEstimate, AFolderOfQuantizeIsServedAsItIs) {
  ModelConfig config = qwen3_4b();
  const std::vector<FormatEstimate> plain = estimate_weights(config);
  const WeightFormats int4 = weight_formats("int4");
  config.quantization = {"qwen_thinking", int4.linear, int4.head};
  const std::vector<FormatEstimate> estimates = estimate_weights(config);
  ASSERT_EQ(estimates.size(), 1u);
  EXPECT_EQ(estimates[0].format, "none");
  EXPECT_EQ(estimates[0].weight_bytes, plain[2].weight_bytes);
}

TEST(FormatNumber, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(4022468096), "4,022,468,096");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(gibibytes(512), "512 B");
  EXPECT_EQ(gibibytes(8044936192.0), "7.49 GiB");
}

}  // namespace
}  // namespace qwen
