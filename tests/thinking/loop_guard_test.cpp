#include "thinking/loop_guard.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace qwen {
namespace {

// How many tokens the guard took before it tripped; -1: it did not.
int trips_after(const std::vector<TokenId>& ids) {
  LoopGuard guard;
  for (size_t i = 0; i < ids.size(); ++i)
    if (guard.push(ids[i])) return static_cast<int>(i) + 1;
  return -1;
}

std::vector<TokenId> repeated(int period, int tokens) {
  std::vector<TokenId> ids;
  for (int i = 0; i < tokens; ++i) ids.push_back(100 + i % period);
  return ids;
}

TEST(LoopGuard, TripsAtTheBoundForEveryPeriod) {
  for (int period = 1; period <= LoopGuard::kMaxPeriod; ++period) {
    const int bound = std::max(LoopGuard::kMinTokens, LoopGuard::kMinRepeats * period);
    EXPECT_EQ(trips_after(repeated(period, bound)), bound) << period;
    EXPECT_EQ(trips_after(repeated(period, bound - 1)), -1) << period;
  }
  EXPECT_EQ(trips_after(repeated(LoopGuard::kMaxPeriod + 1, 4000)), -1);
}

TEST(LoopGuard, FindsALoopBehindAnythingElse) {
  std::mt19937 random(1);
  std::vector<TokenId> ids;
  for (int i = 0; i < 777; ++i) ids.push_back(static_cast<TokenId>(random() % 1000));
  const auto before = static_cast<int>(ids.size());
  for (const TokenId id : repeated(5, 400)) ids.push_back(id);
  const int tripped = trips_after(ids);
  EXPECT_GE(tripped, before + LoopGuard::kMinTokens - 5);
  EXPECT_LE(tripped, before + LoopGuard::kMinTokens);
}

TEST(LoopGuard, OneTokenThatDiffersStartsAnew) {
  std::vector<TokenId> ids = repeated(4, 255);
  ids.push_back(1);
  for (const TokenId id : repeated(4, 255)) ids.push_back(id);
  EXPECT_EQ(trips_after(ids), -1);
}

// Lines that differ in one place each, as in a long sum or a table.
TEST(LoopGuard, LeavesTablesAlone) {
  std::vector<TokenId> ids;
  for (int row = 0; row < 500; ++row) {
    for (const TokenId id : {10, 11, 12, 13, 14, 15}) ids.push_back(id);
    ids.push_back(1000 + row);
  }
  EXPECT_EQ(trips_after(ids), -1);
}

TEST(LoopGuard, LeavesRandomTokensOfASmallAlphabetAlone) {
  std::mt19937 random(2);
  std::vector<TokenId> ids;
  for (int i = 0; i < 100'000; ++i) ids.push_back(static_cast<TokenId>(random() % 2));
  EXPECT_EQ(trips_after(ids), -1);
}

}  // namespace
}  // namespace qwen
