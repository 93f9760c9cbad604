#include "commands/direct_runner.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/fake_model.h"

namespace qwen {
namespace {

using Logits = DirectRunner::Logits;

// A model whose next token is a function of every token before it, so that a wrong block or position shows.
class DirectRunnerTest : public testing::Test {
 protected:
  DirectRunnerTest() {
    model_.control()->set_next([](std::span<const TokenId> context) {
      TokenId sum = 0;
      for (size_t i = 0; i < context.size(); ++i) sum += context[i] * static_cast<TokenId>(i % 7 + 1);
      return sum % 64;
    });
  }

  static TokenId likeliest(std::span<const float> row) {
    return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
  }
  static std::vector<TokenId> ids(int count, int seed) {
    std::vector<TokenId> out(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) out[static_cast<size_t>(i)] = (i * 37 + seed * 11) % 64;
    return out;
  }

  FakeModel model_;
};

TEST_F(DirectRunnerTest, ChunksOfAnySizeGiveTheSame) {
  const std::vector<TokenId> tokens = ids(100, 1);
  DirectRunner runner(model_, 1, 128);
  const TokenId expected = likeliest(runner.prefill(0, tokens, 64));
  for (const int chunk : {1, 7, 16, 63, 1000}) {
    runner.truncate(0, 0);
    EXPECT_EQ(likeliest(runner.prefill(0, tokens, chunk)), expected) << chunk;
    EXPECT_EQ(runner.length(0), 100);
  }
}

TEST_F(DirectRunnerTest, SequencesDoNotSeeEachOther) {
  const std::vector<TokenId> first = ids(20, 1), second = ids(33, 2), more = ids(3, 3);
  std::vector<TokenId> joined = first;
  joined.insert(joined.end(), more.begin(), more.end());
  DirectRunner alone(model_, 1, 64);
  const TokenId expected_first = likeliest(alone.prefill(0, joined, 64));
  alone.truncate(0, 0);
  const TokenId expected_second = likeliest(alone.prefill(0, second, 64));

  DirectRunner runner(model_, 2, 64);
  runner.prefill(0, first, 64);
  const DirectRunner::Chunk chunks[] = {{1, second, Logits::kLast}, {0, more, Logits::kLast}};
  const std::span<const float> rows = runner.step(chunks);
  ASSERT_EQ(rows.size(), 2u * 64);
  EXPECT_EQ(likeliest(rows.first(64)), expected_second);
  EXPECT_EQ(likeliest(rows.subspan(64)), expected_first);
}

TEST_F(DirectRunnerTest, LogitsOfEveryPosition) {
  const std::vector<TokenId> tokens = ids(10, 4);
  DirectRunner runner(model_, 1, 16);
  const DirectRunner::Chunk all[] = {{0, tokens, Logits::kAll}};
  const std::span<const float> logits = runner.step(all);
  ASSERT_EQ(logits.size(), 10u * 64);
  const std::vector<float> rows(logits.begin(), logits.end());
  for (size_t i = 0; i < 10; ++i) {
    runner.truncate(0, 0);
    EXPECT_EQ(likeliest(runner.prefill(0, std::span(tokens).first(i + 1), 64)),
              likeliest(std::span(rows).subspan(i * 64, 64)));
  }
  const DirectRunner::Chunk none[] = {{0, std::span(tokens).first(1), Logits::kNone}};
  runner.truncate(0, 0);
  EXPECT_TRUE(runner.step(none).empty());
}

// The fake backend stores nothing but checks the slots.
TEST_F(DirectRunnerTest, FilledSequencesGoOnWhereTheFillingEnds) {
  DirectRunner runner(model_, 2, 64);
  runner.fill(1, 37);
  EXPECT_EQ(runner.length(0), 0);
  EXPECT_EQ(runner.length(1), 37);
  const std::vector<TokenId> tokens = ids(3, 1);
  const DirectRunner::Chunk chunks[] = {{1, tokens, Logits::kLast}};
  EXPECT_EQ(runner.step(chunks).size(), 64u);
  EXPECT_EQ(runner.length(1), 40);
}

}  // namespace
}  // namespace qwen
