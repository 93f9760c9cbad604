// A thinking budget inside the engine: exact, the same with preemption, on a clock of the test's own.
#include "engine/thinking_constraint.h"

#include <gmock/gmock.h>

#include "engine/engine_fixture.h"

namespace qwen {
namespace {

using testing::ElementsAre;

constexpr TokenId kClose = 60, kStop = 61, kWord = 5;

ThinkingVocabulary vocabulary() {
  ThinkingVocabulary result;
  result.tags = {59, kClose};
  result.closing = {50, 51, 52, kClose, 53};
  result.short_closing = {50, kClose, 53};
  result.stop_tokens = {kStop};
  result.bytes = [](TokenId) { return std::string_view("w"); };
  return result;
}

class ThinkingInEngine : public EngineTest {
 protected:
  GenerationRequest thinking(std::vector<TokenId> prompt, int max_tokens, const ThinkingLimits& limits,
                             ThinkingConstraint::Clock clock = &std::chrono::steady_clock::now) {
    GenerationRequest result = request(std::move(prompt), max_tokens);
    result.sampling.stop_token_ids = {kStop};
    end_ = std::make_shared<std::atomic<ThinkingEnd>>(ThinkingEnd::kNone);
    result.constraint =
        std::make_unique<ThinkingConstraint>(ThinkingBudget(vocabulary(), limits, true), end_, std::move(clock));
    return result;
  }
  void say(TokenId id) {
    control_->set_next([id](std::span<const TokenId>) { return id; });
  }

  std::shared_ptr<std::atomic<ThinkingEnd>> end_;
};

TEST_F(ThinkingInEngine, TheBudgetIsExact) {
  start();
  say(kWord);
  for (int budget = 0; budget < 40; ++budget) {
    const Answer got = answer(thinking({1}, 60, {.budget = budget}));
    std::vector<TokenId> expected(static_cast<size_t>(budget), kWord);
    for (const TokenId id : vocabulary().closing) expected.push_back(id);
    expected.resize(60, kWord);
    EXPECT_EQ(got.ids, expected);
    EXPECT_EQ(end_->load(), ThinkingEnd::kBudget);
    for (const float logprob : got.logprobs) EXPECT_LE(logprob, 0.0f);  // also of forced ones: the model's own
  }
}

TEST_F(ThinkingInEngine, AStopTokenClosesTheThoughtAndIsBarredBeforeTheAnswer) {
  start();
  say(kStop);
  const Answer got = answer(thinking({1}, 20, {.budget = 10}));
  ASSERT_EQ(got.ids.size(), 3u);
  EXPECT_EQ(got.ids.front(), kClose);
  EXPECT_THAT(got.ids[1], testing::AllOf(testing::Ne(kStop), testing::Ne(kClose)));
  EXPECT_EQ(got.ids.back(), kStop);
  EXPECT_EQ(end_->load(), ThinkingEnd::kNone);
}

// Ten requests where two fit: recomputed sequences go on where they were.
TEST_F(ThinkingInEngine, PreemptionChangesNothing) {
  FakeModelOptions small;
  small.free_memory = 16 * kFakeBlockSize * kFakeKvBytesPerToken;
  EngineOptions options;
  options.kv_cache_bytes = 12 * kFakeBlockSize * kFakeKvBytesPerToken;
  start(options, small);
  control_->set_next([](std::span<const TokenId> context) { return static_cast<TokenId>(context.size() % 40); });
  const auto make = [&](int i) { return thinking({1, 2, 3}, 120, {.budget = 7 * i}); };
  std::vector<Answer> alone;
  for (int i = 0; i < 10; ++i) alone.push_back(answer(make(i)));
  const uint64_t before = engine_->stats().preemptions;
  std::vector<TokenStream> streams;
  for (int i = 0; i < 10; ++i) streams.push_back(engine_->submit(make(i)));
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(read_all(streams[i]), alone[i]) << i;
  EXPECT_GT(engine_->stats().preemptions, before);
}

TEST_F(ThinkingInEngine, TimeIsAskedBetweenTokens) {
  start();
  say(kWord);
  auto now = std::make_shared<std::chrono::steady_clock::time_point>();
  const Answer got = answer(thinking({1}, 30, {.time = 100ms}, [now] { return *now += 10ms; }));
  EXPECT_THAT(std::vector<TokenId>(got.ids.begin() + 9, got.ids.begin() + 13), ElementsAre(kWord, 50, 51, 52));
  EXPECT_EQ(end_->load(), ThinkingEnd::kDeadline);
}

}  // namespace
}  // namespace qwen
