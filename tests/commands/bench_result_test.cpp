#include "commands/bench_result.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

TEST(BenchResult, MedianOfOddEvenAndNone) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 8}), 3);
}

TEST(BenchResult, TheSlowerOfReadingAndComputingBounds) {
  const BenchRun run{1.0, 10, 100};
  EXPECT_DOUBLE_EQ(bound_seconds({20e9, 0}, run), 2);
  EXPECT_DOUBLE_EQ(bound_seconds({0, 50e9}, run), 0.5);
  EXPECT_DOUBLE_EQ(bound_seconds({20e9, 50e9}, run), 2);
  EXPECT_DOUBLE_EQ(bound_seconds({20e9, 300e9}, run), 3);
  EXPECT_EQ(bound_seconds({20e9, 50e9}, {1.0, 0, 0}), 0);
}

TEST(BenchResult, SharesAreOfEachRunsOwnProbe) {
  BenchResult decode{BenchResult::Kind::kDecode, 0, 20, {8e9, 0}, {}};
  // The machine slowed down: rates 8, 4, 2 of 10, 5, 4 GB/s.
  decode.runs = {{1.0, 10.0, 1}, {2.0, 5.0, 1}, {4.0, 4.0, 1}};
  EXPECT_DOUBLE_EQ(decode.tokens_per_second(), 10);
  EXPECT_DOUBLE_EQ(decode.best(), 20);
  EXPECT_DOUBLE_EQ(decode.read_gbs(), 5);
  EXPECT_DOUBLE_EQ(decode.ceiling(), 12.5);
  EXPECT_DOUBLE_EQ(decode.share(), 0.8);  // median of 0.8, 0.8 and 0.5
}

TEST(BenchResult, DriftIsOfWhatBoundsTheWork) {
  const BenchRun before{.read_gbs = 10, .dot_gops = 100}, after{.read_gbs = 8, .dot_gops = 100};
  EXPECT_DOUBLE_EQ(bound_drift({20e9, 0}, before, after), 0.2);
  EXPECT_DOUBLE_EQ(bound_drift({20e9, 0}, after, before), 0.2);
  EXPECT_DOUBLE_EQ(bound_drift({0, 50e9}, before, after), 0);
  EXPECT_DOUBLE_EQ(bound_drift({20e9, 1000e9}, before, after), 0);  // computing is the slower of the two
  EXPECT_DOUBLE_EQ(bound_drift({20e9, 0}, {}, {}), 0);
}

TEST(BenchResult, SteadyRunsComeBeforeOthers) {
  const BenchRun moved{.seconds = 1, .drift = 0.2}, busy{.seconds = 2, .other_load = 0.1},
      steady{.seconds = 3, .drift = 0.05};
  EXPECT_FALSE(is_steady(moved));
  EXPECT_FALSE(is_steady(busy));
  EXPECT_TRUE(is_steady(steady));
  const auto seconds = [](const std::vector<BenchRun>& runs) {
    std::vector<double> all;
    for (const BenchRun& run : runs) all.push_back(run.seconds);
    return all;
  };
  EXPECT_EQ(seconds(steadiest({moved, steady, busy, steady}, 2)), (std::vector<double>{3, 3}));
  EXPECT_EQ(seconds(steadiest({moved, busy, steady}, 2)), (std::vector<double>{3, 1}));
  EXPECT_EQ(seconds(steadiest({busy}, 2)), (std::vector<double>{2}));
}

TEST(BenchResult, NoRunsAndNoCeilingAreZero) {
  BenchResult result{BenchResult::Kind::kPrefill, 8, 8, {0, 1e9}, {}};
  EXPECT_EQ(result.tokens_per_second(), 0);
  EXPECT_EQ(result.best(), 0);
  result.runs = {{2.0, 0, 0}};
  EXPECT_EQ(result.tokens_per_second(), 4);
  EXPECT_EQ(result.ceiling(), 0);
  EXPECT_EQ(result.share(), 0);
}

}  // namespace
}  // namespace qwen
