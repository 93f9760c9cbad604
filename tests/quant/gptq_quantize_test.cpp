// GPTQ held against the algorithm as its paper has it, spelled out in double: the inverse of the Hessian, its Cholesky
// factor, every error spread over the inputs to come.
#include "quant/gptq_quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"
#include "quant/cholesky.h"
#include "quant/dequantize.h"

namespace qwen {
namespace {

using Square = std::vector<std::vector<double>>;

// Inputs of which neighbours go together and some are many times the rest, as activations are.
std::vector<float> gram_of(int64_t n, int64_t tokens, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> gram(static_cast<size_t>(n * n));
  std::vector<double> x(static_cast<size_t>(n));
  for (int64_t t = 0; t < tokens; ++t) {
    double carried = normal(random);
    for (int64_t i = 0; i < n; ++i) {
      carried = 0.8 * carried + 0.6 * normal(random);
      x[static_cast<size_t>(i)] = carried * (i % 17 == 3 ? 8 : 1);
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j <= i; ++j)
        gram[static_cast<size_t>(i * n + j)] += x[static_cast<size_t>(i)] * x[static_cast<size_t>(j)];
  }
  return {gram.begin(), gram.end()};
}

std::vector<float> weights_of(int64_t rows, int64_t cols, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> weights(static_cast<size_t>(rows * cols));
  for (float& w : weights) w = normal(random);
  return weights;
}

std::vector<float> values_of(const GptqMatrix& matrix) {
  const HostMatrix view = matrix.view();
  check_matrix(view, "layer");
  std::vector<float> values(static_cast<size_t>(view.rows * view.cols));
  dequantize_rows(view, 0, view.rows, values.data());
  return values;
}

Square inverse(Square a) {
  const size_t n = a.size();
  Square out(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) out[i][i] = 1;
  for (size_t k = 0; k < n; ++k) {
    const double pivot = a[k][k];
    for (size_t j = 0; j < n; ++j) a[k][j] /= pivot, out[k][j] /= pivot;
    for (size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i][k];
      for (size_t j = 0; j < n; ++j) a[i][j] -= factor * a[k][j], out[i][j] -= factor * out[k][j];
    }
  }
  return out;
}

// The upper triangular T with A = Tᵀ·T.
Square upper_cholesky(const Square& a) {
  const size_t n = a.size();
  Square t(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) {
      double sum = a[i][j];
      for (size_t k = 0; k < i; ++k) sum -= t[k][i] * t[k][j];
      t[i][j] = i == j ? std::sqrt(sum) : sum / t[i][i];
    }
  }
  return t;
}

struct Hessian {
  std::vector<int32_t> order;
  Square damped;  // in that order
};

Hessian hessian_of(const std::vector<float>& gram, int64_t n, const HessianOptions& options) {
  Hessian h;
  h.order.resize(static_cast<size_t>(n));
  std::iota(h.order.begin(), h.order.end(), 0);
  const auto at = [&](int64_t i, int64_t j) {
    return double{gram[static_cast<size_t>(std::max(i, j) * n + std::min(i, j))]};
  };
  if (options.act_order)
    std::stable_sort(h.order.begin(), h.order.end(), [&](int32_t a, int32_t b) { return at(a, a) > at(b, b); });
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += at(i, i) / static_cast<double>(n);
  h.damped.assign(static_cast<size_t>(n), std::vector<double>(static_cast<size_t>(n)));
  for (size_t i = 0; i < h.damped.size(); ++i) {
    for (size_t j = 0; j < h.damped.size(); ++j) h.damped[i][j] = at(h.order[i], h.order[j]);
    h.damped[i][i] += options.damp_percent * mean;
  }
  return h;
}

// The paper's algorithm with the grids that `out` has chosen: what each weight, with all errors so far spread over it,
// would be before it is rounded.
std::vector<float> spelled_out(const std::vector<float>& weights, int64_t rows, int64_t cols, const Hessian& h,
                               const std::vector<float>& quantized) {
  const Square t = upper_cholesky(inverse(h.damped));
  std::vector<float> targets(weights.size());
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> w(static_cast<size_t>(cols));
    for (size_t i = 0; i < w.size(); ++i) w[i] = double{weights[static_cast<size_t>(row * cols + h.order[i])]};
    for (size_t i = 0; i < w.size(); ++i) {
      const size_t at = static_cast<size_t>(row * cols + h.order[i]);
      targets[at] = static_cast<float>(w[i]);
      const double error = (w[i] - double{quantized[at]}) / t[i][i];
      for (size_t j = i; j < w.size(); ++j) w[j] -= error * t[i][j];
    }
  }
  return targets;
}

TEST(Cholesky, FactorsSizesAroundItsBlocks) {
  for (const int64_t n : {1, 2, 31, 127, 128, 129, 300, 515}) {
    const std::vector<float> gram = gram_of(n, 2 * n + 3, static_cast<uint32_t>(n));
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      std::vector<double> a(gram.begin(), gram.end());
      ASSERT_TRUE(cholesky(a.data(), n, pool)) << n;
      results.push_back(a);
    }
    EXPECT_EQ(results[0], results[1]) << "threads change bits";
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (int64_t k = 0; k <= j; ++k)
          sum += results[0][static_cast<size_t>(i * n + k)] * results[0][static_cast<size_t>(j * n + k)];
        worst = std::max(worst, std::fabs(sum - double{gram[static_cast<size_t>(i * n + j)]}));
      }
    }
    EXPECT_LT(worst, 1e-8 * static_cast<double>(n) * 64) << n;
  }
}

TEST(Cholesky, RefusesWhatIsNotPositiveDefinite) {
  ThreadPool pool(1);
  std::vector<double> negative = {1, 0, 2, 1}, zero = {0}, nan = {std::nan("")};
  EXPECT_FALSE(cholesky(negative.data(), 2, pool));
  EXPECT_FALSE(cholesky(zero.data(), 1, pool));
  EXPECT_FALSE(cholesky(nan.data(), 1, pool));
}

TEST(HessianFactor, IsUnitUpperTriangularTimesDiagonal) {
  constexpr int64_t kSize = 150;
  const std::vector<float> gram = gram_of(kSize, 400, 2);
  ThreadPool pool(2);
  for (const bool act_order : {false, true}) {
    const HessianOptions options{.damp_percent = 0.02, .act_order = act_order};
    const HessianFactor factor(gram, kSize, options, pool);
    const Hessian expected = hessian_of(gram, kSize, options);
    EXPECT_TRUE(std::equal(expected.order.begin(), expected.order.end(), factor.order().begin()));
    for (int64_t i = 0; i < kSize; ++i) {
      EXPECT_EQ(factor.row(i)[i], 1.0f);
      for (int64_t j = i; j < kSize; ++j) {
        double sum = 0;
        for (int64_t k = j; k < kSize; ++k)
          sum += double{factor.row(i)[k]} * factor.row(j)[k] * double{factor.weights()[static_cast<size_t>(k)]};
        const double value = expected.damped[static_cast<size_t>(i)][static_cast<size_t>(j)];
        EXPECT_NEAR(sum, value,
                    1e-5 * std::sqrt(expected.damped[static_cast<size_t>(i)][static_cast<size_t>(i)] *
                                     expected.damped[static_cast<size_t>(j)][static_cast<size_t>(j)]));
      }
    }
  }
}

TEST(HessianFactor, DampsUntilItHolds) {
  ThreadPool pool(1);
  constexpr int64_t kSize = 40;
  EXPECT_EQ(HessianFactor(gram_of(kSize, 3, 1), kSize, {.damp_percent = 0.01}, pool).damp_percent(), 0.01);  // rank 3
  // Not a Gram matrix at all: an off-diagonal larger than the diagonal.
  std::vector<float> gram(4, 0.0f);
  gram[0] = gram[3] = 1;
  gram[2] = 1.5f;
  EXPECT_NEAR(HessianFactor(gram, 2, {.damp_percent = 0.01}, pool).damp_percent(), 1.0, 1e-12);
  gram[2] = 100;
  EXPECT_THROW(HessianFactor(gram, 2, {}, pool), Error);
  gram[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(HessianFactor(gram, 2, {}, pool), Error);
}

struct Case {
  int bits;
  int64_t group_size;
  bool symmetric, act_order;
};

class GptqTest : public testing::TestWithParam<Case> {
 protected:
  GptqOptions options() const {
    const Case& c = GetParam();
    return {.grid = {.bits = c.bits, .symmetric = c.symmetric},
            .group_size = c.group_size,
            .hessian = {.damp_percent = 0.01, .act_order = c.act_order}};
  }
  static constexpr int64_t kRows = 40, kCols = 304;  // three blocks, the last one a part; not a multiple of 128 or 64
  const std::vector<float> gram_ = gram_of(kCols, 1000, 5), weights_ = weights_of(kRows, kCols, 6);
};

TEST_P(GptqTest, RoundsWhatThePaperRounds) {
  ThreadPool pool(2);
  const HessianFactor factor(gram_, kCols, options().hessian, pool);
  const GptqMatrix matrix = gptq_quantize(weights_, kRows, factor, options(), pool);
  const std::vector<float> quantized = values_of(matrix);
  const std::vector<float> targets =
      spelled_out(weights_, kRows, kCols, hessian_of(gram_, kCols, options().hessian), quantized);
  const HostMatrix view = matrix.view();
  const int64_t group_size = view.format.group_size;
  // Its targets are the paper's but for f32: of one that lies between two steps, either is right.
  const int most = (1 << view.format.bits) - 1;
  int outside = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t col = 0; col < kCols; ++col) {
      const size_t at = static_cast<size_t>(row * kCols + col);
      const size_t scale_at = static_cast<size_t>(col / group_size * kRows + row);
      const float scale = f16_to_f32(view.scales.as<uint16_t>()[scale_at]), step = std::fabs(scale);
      const int fields = 32 / view.format.bits;
      const uint32_t word = view.zeros.as<uint32_t>()[(col / group_size * kRows + row) / fields];
      const int zero = static_cast<int>(word >> (row % fields * view.format.bits) & static_cast<uint32_t>(most)) +
                       view.format.zero_offset;
      const float one_end = scale * static_cast<float>(-zero), other_end = scale * static_cast<float>(most - zero);
      const float inside = std::clamp(targets[at], std::min(one_end, other_end), std::max(one_end, other_end));
      outside += std::fabs(inside - targets[at]) > 0.5f * step;
      ASSERT_LE(std::fabs(inside - quantized[at]), 0.51f * step) << row << ", " << col;
    }
  }
  EXPECT_LT(outside, kRows * kCols / 15);
  EXPECT_EQ(values_of(gptq_quantize(weights_, kRows, factor, options(), pool)), quantized);
  ThreadPool one(1);
  EXPECT_EQ(values_of(gptq_quantize(weights_, kRows, factor, options(), one)), quantized) << "threads change bits";
}

TEST_P(GptqTest, ErrsLessThanPlainRounding) {
  ThreadPool pool(2);
  const HessianFactor factor(gram_, kCols, options().hessian, pool);
  const std::vector<float> quantized = values_of(gptq_quantize(weights_, kRows, factor, options(), pool));
  const std::vector<float> nearest = values_of(round_to_nearest(weights_, kRows, kCols, options(), pool));
  const double error = relative_output_error(weights_, quantized, kRows, gram_, kCols, pool);
  const double nearest_error = relative_output_error(weights_, nearest, kRows, gram_, kCols, pool);
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 0.7 * nearest_error);

  // The errors as they are defined, over both triangles.
  const auto form = [&](const std::vector<float>& e) {
    double sum = 0;
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t i = 0; i < kCols; ++i)
        for (int64_t j = 0; j < kCols; ++j)
          sum += double{e[static_cast<size_t>(row * kCols + i)]} * e[static_cast<size_t>(row * kCols + j)] *
                 double{gram_[static_cast<size_t>(std::max(i, j) * kCols + std::min(i, j))]};
    return sum;
  };
  std::vector<float> difference(weights_);
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= quantized[i];
  EXPECT_NEAR(error, form(difference) / form(weights_), 1e-6 * error + 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Formats, GptqTest,
                         testing::Values(Case{4, 128, true, false}, Case{4, 64, true, false}, Case{4, 32, false, false},
                                         Case{4, 128, true, true}, Case{4, 128, false, true}, Case{8, 128, true, false},
                                         Case{8, 128, false, true}, Case{4, -1, true, false},
                                         Case{4, -1, false, true}));

TEST(Gptq, InputsThatAreNeverSeenAreRoundedPlainly) {
  constexpr int64_t kRows = 8, kCols = 64;
  ThreadPool pool(1);
  std::vector<float> gram = gram_of(kCols, 200, 4);
  for (int64_t i = 0; i < kCols; ++i)
    gram[static_cast<size_t>(std::max<int64_t>(i, 9) * kCols + std::min<int64_t>(i, 9))] = 0;
  const std::vector<float> weights = weights_of(kRows, kCols, 3);
  GptqOptions options{.group_size = -1};
  const GptqMatrix matrix = gptq_quantize(weights, kRows, HessianFactor(gram, kCols, {}, pool), options, pool);
  const std::vector<float> quantized = values_of(matrix);
  for (int64_t row = 0; row < kRows; ++row) {
    const size_t at = static_cast<size_t>(row * kCols + 9);
    const float scale = std::fabs(f16_to_f32(matrix.view().scales.as<uint16_t>()[row]));
    EXPECT_LE(std::fabs(weights[at] - quantized[at]), 0.501f * scale);
  }
  const std::vector<float> nearest = values_of(round_to_nearest(weights, kRows, kCols, options, pool));
  const HessianFactor nothing(std::vector<float>(kCols * kCols, 0.0f), kCols, {}, pool);
  EXPECT_EQ(values_of(gptq_quantize(weights, kRows, nothing, options, pool)), nearest);
}

TEST(Gptq, ExtremeWeights) {
  constexpr int64_t kRows = 8, kCols = 128;
  ThreadPool pool(1);
  const HessianFactor factor(gram_of(kCols, 300, 4), kCols, {}, pool);
  for (const bool symmetric : {true, false}) {
    const GptqOptions options{.grid = {.symmetric = symmetric}};
    for (const float size : {0.0f, 1e-30f, 1e-7f, 1e4f, 2e5f}) {
      std::vector<float> weights = weights_of(kRows, kCols, 3);
      for (float& w : weights) w *= size;
      for (const float value : values_of(gptq_quantize(weights, kRows, factor, options, pool)))
        ASSERT_TRUE(std::isfinite(value));
    }
    std::vector<float> weights(static_cast<size_t>(kRows * kCols), 0.25f);  // all on one side
    for (const float value : values_of(gptq_quantize(weights, kRows, factor, options, pool)))
      ASSERT_NEAR(value, 0.25f, 0.05f);
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), 65536.0f, -1e30f}) {
      weights[77] = bad;
      EXPECT_THROW(gptq_quantize(weights, kRows, factor, options, pool), Error) << bad;
      EXPECT_THROW(round_to_nearest(weights, kRows, kCols, options, pool), Error) << bad;
    }
  }
}

}  // namespace
}  // namespace qwen
