// The vectorised passes against the obvious loops in double, at every tail length.
#include "engine/logit_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace qwen {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 6);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

TEST(LogitMath, MatchesDoubleAtEveryLength) {
  for (size_t count = 1; count < 40; ++count) {
    const std::vector<float> logits = random_logits(count, static_cast<uint32_t>(count));
    const LogitStats stats = logit_stats(logits);
    EXPECT_TRUE(stats.finite);
    EXPECT_EQ(stats.max, *std::max_element(logits.begin(), logits.end()));
    EXPECT_EQ(max_logit(logits), stats.max);
    double sum = 0, scaled_sum = 0;
    for (const float logit : logits) {
      sum += std::exp(double(logit) - double(stats.max));
      scaled_sum += std::exp((double(logit) - double(stats.max)) * 0.7);
    }
    EXPECT_NEAR(log_sum_exp(logits, stats.max), double(stats.max) + std::log(sum), 2e-6 * std::fabs(stats.max) + 1e-6);
    std::vector<float> weights(count);
    EXPECT_NEAR(exp_weights(weights, logits, stats.max, 0.7f), scaled_sum, 1e-6 * scaled_sum);
    for (size_t i = 0; i < count; ++i) {
      const double expected = std::exp((double(logits[i]) - double(stats.max)) * 0.7);
      EXPECT_NEAR(weights[i], expected, 4e-6 * expected);
    }
  }
}

TEST(LogitMath, LargeVocabulary) {
  const std::vector<float> logits = random_logits(151936, 1);
  const LogitStats stats = logit_stats(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double(logit) - double(stats.max));
  EXPECT_NEAR(log_sum_exp(logits, stats.max), double(stats.max) + std::log(sum), 1e-5);
}

TEST(LogitMath, FindsWhatIsNotFiniteWhereverItIs) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}) {
    for (size_t i = 0; i < 23; ++i) {
      std::vector<float> logits = random_logits(23, 5);
      logits[i] = bad;
      EXPECT_FALSE(logit_stats(logits).finite) << bad << " at " << i;
    }
  }
}

TEST(LogitMath, BarredTokensWeighNothing) {
  const std::vector<float> logits = {1.0f, -kInfinity, 0.5f, -kInfinity, -kInfinity};
  std::vector<float> weights(logits.size());
  EXPECT_FLOAT_EQ(static_cast<float>(exp_weights(weights, logits, 1.0f, 1.0f)), 1.0f + std::exp(-0.5f));
  EXPECT_EQ(weights[0], 1.0f);
  EXPECT_EQ(weights[1], 0.0f);
  EXPECT_EQ(weights[4], 0.0f);
}

TEST(LogitMath, ExtremeScalesStayFinite) {
  const std::vector<float> logits = {3.0f, 3.0f, -1e30f, 2.9f};
  std::vector<float> weights(logits.size());
  EXPECT_EQ(exp_weights(weights, logits, 3.0f, 1e30f), 2.0);
}

}  // namespace
}  // namespace qwen
