// Rotary frequencies: plain, and YaRN as the first Qwen3 models declare it (32,768 positions stretched by 4).
#include "model/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/fake_backend.h"

namespace qwen {
namespace {

ModelConfig qwen3(double theta) {
  ModelConfig config;
  config.head_dim = 128;
  config.rope_theta = theta;
  return config;
}

ModelConfig qwen3_yarn() {
  ModelConfig config = qwen3(1e6);
  config.rope_scaling.type = RopeScaling::Type::kYarn;
  config.rope_scaling.factor = 4;
  config.rope_scaling.original_max_position_embeddings = 32768;
  config.rope_scaling.attention_factor = 0.1 * std::log(4.0) + 1;
  return config;
}

TEST(RopeTable, PlainFrequencies) {
  const std::vector<double> frequencies = rope_inverse_frequencies(qwen3(5e6));
  ASSERT_EQ(frequencies.size(), 64u);
  EXPECT_DOUBLE_EQ(frequencies[0], 1.0);
  EXPECT_NEAR(frequencies[1], std::pow(5e6, -2.0 / 128), 1e-15);
  EXPECT_NEAR(frequencies[63], std::pow(5e6, -126.0 / 128), 1e-18);
}

TEST(RopeTable, YarnInterpolatesBetweenPairs23And40) {
  const std::vector<double> plain = rope_inverse_frequencies(qwen3(1e6));
  const std::vector<double> yarn = rope_inverse_frequencies(qwen3_yarn());
  for (size_t i = 0; i < 64; ++i) {
    const double ratio = yarn[i] / plain[i];
    if (i <= 23) {
      EXPECT_DOUBLE_EQ(ratio, 1) << i;
    } else if (i >= 40) {
      EXPECT_DOUBLE_EQ(ratio, 0.25) << i;
    } else {
      EXPECT_NEAR(ratio, 1 - 0.75 * static_cast<double>(i - 23) / 17, 1e-12) << i;
    }
  }
}

TEST(RopeTable, AnglesAreExactAtTheLastPositions) {
  FakeBackend backend(0, 1, 16);
  constexpr int kPositions = 262144;
  const RopeTable table(backend, qwen3(5e6), kPositions);
  const float* cos = table.cos.buffer.as<float>() + int64_t{kPositions - 1} * 64;
  const float* sin = table.sin.buffer.as<float>() + int64_t{kPositions - 1} * 64;
  for (const int pair : {0, 1, 20, 63}) {
    const double angle = 262143.0 * std::pow(5e6, -2.0 * pair / 128);
    EXPECT_NEAR(cos[pair], std::cos(angle), 1e-7);
    EXPECT_NEAR(sin[pair], std::sin(angle), 1e-7);
  }
}

TEST(RopeTable, YarnScalesCosinesAndSines) {
  FakeBackend backend(0, 1, 16);
  const RopeTable table(backend, qwen3_yarn(), 2);
  EXPECT_NEAR(table.cos.buffer.as<float>()[0], 1.138629, 1e-6);  // position 0: cos 0 times the attention factor
  EXPECT_NEAR(table.sin.buffer.as<float>()[64], 1.138629 * std::sin(1.0), 1e-6);
}

}  // namespace
}  // namespace qwen
