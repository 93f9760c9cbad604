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
    link_ = std::make_shared<ThoughtLink>();
    result.constraint =
        std::make_unique<ThinkingConstraint>(ThinkingBudget(vocabulary(), limits, true), link_, std::move(clock));
    return result;
  }
  void say(TokenId id) {
    control_->set_next([id](std::span<const TokenId>) { return id; });
  }

  std::shared_ptr<ThoughtLink> link_;
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
    EXPECT_EQ(link_->closed_by.load(), ThinkingEnd::kBudget);
    for (const float logprob : got.logprobs) EXPECT_LE(logprob, 0.0f);  // also of forced ones: the model's own
  }
}

// From another thread, in the middle of a step: the closing begins at the next token.
TEST_F(ThinkingInEngine, AReaderMayHaveItFinished) {
  start();
  say(kWord);
  control_->set_delay(std::chrono::milliseconds(1));
  TokenStream stream = engine_->submit(thinking({1}, 200, {}));
  std::vector<TokenId> ids;
  size_t asked_at = 0;
  for (bool ended = false; !ended;) {
    const auto event = stream.next(std::chrono::seconds(10));
    ASSERT_TRUE(event);
    if (event->id >= 0) ids.push_back(event->id);
    ended = event->finish_reason != FinishReason::kNone;
    if (ids.size() == 20 && asked_at == 0) {
      asked_at = ids.size();
      link_->finish = true;
    }
  }
  const auto close = std::find(ids.begin(), ids.end(), kClose);
  ASSERT_NE(close, ids.end());
  EXPECT_LE(close - ids.begin(), static_cast<long>(asked_at) + 8) << "the sentence, and what was under way";
  EXPECT_EQ(link_->closed_by.load(), ThinkingEnd::kClient);
}

TEST_F(ThinkingInEngine, AStopTokenClosesTheThoughtAndIsBarredBeforeTheAnswer) {
  start();
  say(kStop);
  const Answer got = answer(thinking({1}, 20, {.budget = 10}));
  ASSERT_EQ(got.ids.size(), 3u);
  EXPECT_EQ(got.ids.front(), kClose);
  EXPECT_THAT(got.ids[1], testing::AllOf(testing::Ne(kStop), testing::Ne(kClose)));
  EXPECT_EQ(got.ids.back(), kStop);
  EXPECT_EQ(link_->closed_by.load(), ThinkingEnd::kNone);
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
  EXPECT_EQ(link_->closed_by.load(), ThinkingEnd::kDeadline);
}

}  // namespace
}  // namespace qwen
