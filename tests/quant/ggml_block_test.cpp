// Blocks worked out by hand from the formats' definitions.
#include "quant/ggml_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace qwen {
namespace {

std::vector<float> zeros() { return std::vector<float>(kGgmlBlock); }

TEST(GgmlBlock, Q8PutsTheLargestMagnitudeAt127AndRoundsHalvesAwayFromZero) {
  std::vector<float> x = zeros();
  x[0] = -31.75f;  // 127 quarters: scale 0.25
  x[1] = 1.0f;
  x[2] = 0.125f;   // half a step
  x[3] = -0.375f;  // one and a half
  x[4] = 0.12f;
  x[31] = 31.75f;
  const GgmlBlock block = quantize_q8_0(x.data());
  EXPECT_EQ(f16_to_f32(block.scale), 0.25f);
  EXPECT_EQ(block.q[0], -127);
  EXPECT_EQ(block.q[1], 4);
  EXPECT_EQ(block.q[2], 1);
  EXPECT_EQ(block.q[3], -2);
  EXPECT_EQ(block.q[4], 0);
  EXPECT_EQ(block.q[31], 127);
  EXPECT_EQ(block.value(0), -31.75f);
  EXPECT_EQ(block.value(3), -0.5f);
}

// The integers are those of the scale before it is rounded to f16; the values are those of the rounded one.
TEST(GgmlBlock, Q8StoresAnF16Scale) {
  std::vector<float> x = zeros();
  x[7] = 1.0f;
  const GgmlBlock block = quantize_q8_0(x.data());
  EXPECT_EQ(block.q[7], 127);
  EXPECT_EQ(block.scale, f32_to_f16(1.0f / 127));
  EXPECT_NEAR(block.value(7), 1.0f, 5e-4);
  EXPECT_NE(block.value(7), 1.0f);
}

TEST(GgmlBlock, Q4PutsTheLargestAtMinusEightAndCutsTheOtherEndAtSeven) {
  std::vector<float> x = zeros();
  x[3] = 4.0f;   // scale -0.5
  x[4] = -4.0f;  // would be +8
  x[5] = 1.0f;
  x[6] = -0.24f;  // rounds to 0
  x[7] = -0.25f;  // half a step: away from -8
  x[8] = 0.25f;   // half a step: as well
  const GgmlBlock block = quantize_q4_0(x.data());
  EXPECT_EQ(f16_to_f32(block.scale), -0.5f);
  EXPECT_EQ(block.q[3], -8);
  EXPECT_EQ(block.q[4], 7);
  EXPECT_EQ(block.q[5], -2);
  EXPECT_EQ(block.q[6], 0);
  EXPECT_EQ(block.q[7], 1);
  EXPECT_EQ(block.q[8], 0);
  EXPECT_EQ(block.value(3), 4.0f);
  EXPECT_EQ(block.value(4), -3.5f);
}

TEST(GgmlBlock, Q4TakesTheFirstOfEqualMagnitudes) {
  std::vector<float> x = zeros();
  x[10] = -2.0f;
  x[20] = 2.0f;
  const GgmlBlock block = quantize_q4_0(x.data());
  EXPECT_EQ(f16_to_f32(block.scale), 0.25f);
  EXPECT_EQ(block.q[10], -8);
  EXPECT_EQ(block.q[20], 7);
}

TEST(GgmlBlock, ZerosAndTheSmallestNumbersBecomeZeros) {
  std::vector<float> x = zeros();
  for (const float smallest : {0.0f, std::numeric_limits<float>::denorm_min()}) {
    x[5] = smallest;
    for (const GgmlBlock& block : {quantize_q8_0(x.data()), quantize_q4_0(x.data())})
      for (int i = 0; i < kGgmlBlock; ++i) EXPECT_EQ(block.value(i), 0) << i;
  }
}

TEST(GgmlBlock, ANanOrInfinityPoisonsItsBlock) {
  for (const float poison : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(kGgmlBlock, 1.0f);
    x[9] = poison;
    EXPECT_TRUE(std::isnan(quantize_q8_0(x.data()).value(0)));
    EXPECT_TRUE(std::isnan(quantize_q4_0(x.data()).value(0)));
  }
}

}  // namespace
}  // namespace qwen
