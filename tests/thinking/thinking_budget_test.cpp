#include "thinking/thinking_budget.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace qwen {
namespace {

using std::chrono::milliseconds;
using Clock = ThinkingBudget::Clock;

constexpr TokenId kOpen = 1, kClose = 2, kStop = 3, kNewline = 4, kWord = 10, kOther = 11;
// U+1F984 in lone bytes, and 思 in two pieces.
constexpr TokenId kByte0 = 20, kByte1 = 21, kByte2 = 22, kByte3 = 23, kHead = 24, kTail = 25;

ThinkingVocabulary vocabulary() {
  ThinkingVocabulary result;
  result.tags = {kOpen, kClose};
  result.closing = {kNewline, 30, 31, 32, 33, 34, kNewline, kClose, kNewline};
  result.short_closing = {kNewline, kClose, kNewline};
  result.stop_tokens = {kStop};
  result.bytes = [](TokenId id) -> std::string_view {
    static const std::map<TokenId, std::string_view> kBytes = {{kNewline, "\n"}, {kByte0, "\xf0"}, {kByte1, "\x9f"},
                                                               {kByte2, "\xa6"}, {kByte3, "\x84"}, {kHead, "\xe6\x80"},
                                                               {kTail, "\x9d"},  {kStop, ""}};
    const auto found = kBytes.find(id);
    return found == kBytes.end() ? std::string_view("w") : found->second;
  };
  return result;
}
const int kClosing = static_cast<int>(vocabulary().closing.size());

struct Output {
  std::vector<TokenId> ids;
  std::vector<TokenId> thought;  // without tags
  std::vector<TokenId> answer;   // after the last </think>, without newlines and the stop token
  ThinkingEnd end = ThinkingEnd::kNone;
  int closes = 0;
};

using Model = std::function<TokenId(std::span<const TokenId> output)>;

// What the engine does: asks, draws, replaces, advances. A barred token becomes kOther. `step`: time of a token.
Output run(const ThinkingLimits& limits, const Model& model, bool starts_in_thought = true,
           milliseconds step = milliseconds(0), Clock::time_point now = {}) {
  ThinkingBudget budget(vocabulary(), limits, starts_in_thought);
  Output output;
  bool in_thought = starts_in_thought;
  const int most = limits.max_tokens > 0 ? limits.max_tokens : 2000;
  while (static_cast<int>(output.ids.size()) < most) {
    const ThinkingBudget::Next next = budget.next(now);
    TokenId id = next.forced >= 0 ? next.forced : model(output.ids);
    if (next.forced < 0 && std::find(next.barred.begin(), next.barred.end(), id) != next.barred.end()) id = kOther;
    if (next.forced < 0 && id == kStop && next.stop_becomes >= 0) id = next.stop_becomes;
    output.ids.push_back(id);
    if (id == kStop) break;
    budget.advance(id);
    now += step;
    if (id == kOpen || id == kClose) {
      in_thought = id == kOpen;
      output.closes += id == kClose;
    } else if (in_thought) {
      output.thought.push_back(id);
    } else if (id != kNewline) {
      output.answer.push_back(id);
    }
  }
  EXPECT_EQ(budget.thought_tokens(), static_cast<int>(output.thought.size()));
  output.end = budget.forced_by();
  return output;
}

TokenId words(std::span<const TokenId>) { return kWord; }

// Thinks for ever, then answers with five words.
TokenId thinker(std::span<const TokenId> output) {
  const auto close = std::find(output.begin(), output.end(), kClose);
  return output.end() - close > 6 ? kStop : kWord;
}

// Says these tokens, then stops.
Model script(std::vector<TokenId> ids) {
  return [ids](std::span<const TokenId> output) { return output.size() < ids.size() ? ids[output.size()] : kStop; };
}

TEST(ThinkingBudget, IsExactForEveryBudget) {
  for (int budget = 0; budget <= 200; ++budget) {
    const Output output = run({.budget = budget}, thinker);
    const std::vector<TokenId> closing = vocabulary().closing;
    ASSERT_EQ(output.thought.size(),
              static_cast<size_t>(budget + kClosing - 2));  // the tag and what follows it are not thought
    EXPECT_TRUE(std::equal(closing.begin(), closing.end(), output.ids.begin() + budget));
    EXPECT_EQ(output.answer, std::vector<TokenId>(5, kWord));
    EXPECT_EQ(output.end, ThinkingEnd::kBudget);
    EXPECT_EQ(output.closes, 1);
  }
}

TEST(ThinkingBudget, AThoughtThatEndsInTimeIsLeftAlone) {
  for (const int budget : {-1, 4, 100}) {
    const Output output = run({.budget = budget}, script({kWord, kWord, kNewline, kClose, kNewline, kOther, kOther}));
    EXPECT_EQ(output.ids, (std::vector<TokenId>{kWord, kWord, kNewline, kClose, kNewline, kOther, kOther, kStop}))
        << budget;
    EXPECT_EQ(output.end, ThinkingEnd::kNone);
  }
}

// Asked after so many tokens, with and without limits of its own: the next token begins the closing.
TEST(ThinkingBudget, TheClientMayHaveItFinished) {
  for (const bool ensure_answer : {true, false}) {
    for (const size_t asked_after : {0, 1, 30}) {
      ThinkingBudget budget(vocabulary(), {.budget = -1, .ensure_answer = ensure_answer}, true);
      std::vector<TokenId> output;
      while (output.size() < asked_after + static_cast<size_t>(kClosing)) {
        if (output.size() == asked_after) budget.finish();
        const TokenId forced = budget.next({}).forced;
        output.push_back(forced >= 0 ? forced : kWord);
        budget.advance(output.back());
      }
      const std::vector<TokenId> closing = vocabulary().closing;
      EXPECT_TRUE(std::equal(closing.begin(), closing.end(), output.begin() + static_cast<long>(asked_after)));
      EXPECT_EQ(budget.forced_by(), ThinkingEnd::kClient);
    }
  }
}

TEST(ThinkingBudget, AWishToFinishWaitsForAThoughtAndForACharacter) {
  ThinkingBudget answers(vocabulary(), {}, false);
  answers.finish();
  EXPECT_EQ(answers.next({}).forced, -1);
  answers.advance(kWord);
  EXPECT_EQ(answers.next({}).forced, -1);
  EXPECT_EQ(answers.forced_by(), ThinkingEnd::kNone);
  ThinkingBudget split(vocabulary(), {}, true);
  EXPECT_EQ(split.next({}).forced, -1);
  split.advance(kHead);
  split.finish();
  EXPECT_EQ(split.next({}).forced, -1) << "the rest of it first";
  split.advance(kTail);
  EXPECT_EQ(split.next({}).forced, kNewline);
  ThinkingBudget spent(vocabulary(), {.budget = 0}, true);
  spent.finish();
  spent.next({});
  EXPECT_EQ(spent.forced_by(), ThinkingEnd::kBudget) << "the budget was there first";
}

TEST(ThinkingBudget, NoBudgetNeverCloses) {
  const Output output = run({.max_tokens = 0}, words);
  EXPECT_EQ(output.thought.size(), 2000u);
}

TEST(ThinkingBudget, ASplitCharacterIsFinishedFirst) {
  // Two tokens are missing at the budget: the sentence follows. Three: the short closing, so that the bound holds.
  for (const int budget : {1, 2, 3}) {
    const Output output = run({.budget = budget}, script({kByte0, kByte1, kByte2, kByte3, kWord, kWord}));
    EXPECT_EQ((std::vector<TokenId>(output.ids.begin(), output.ids.begin() + 4)),
              (std::vector<TokenId>{kByte0, kByte1, kByte2, kByte3}));
    EXPECT_EQ(output.ids[4], kNewline);
    EXPECT_EQ(output.ids[5], budget == 1 ? kClose : 30);
    EXPECT_LE(static_cast<int>(output.thought.size()), budget + kClosing);
  }
  const Output output = run({.budget = 5}, script({kWord, kWord, kWord, kWord, kHead, kTail, kWord}));
  EXPECT_EQ(output.ids[5], kTail);
  EXPECT_EQ(output.ids[6], kNewline);
}

TEST(ThinkingBudget, ACharacterThatIsNeverFinishedWaitsForThreeTokensAtMost) {
  const Output output = run({.budget = 4}, [](auto) { return kByte0; });
  EXPECT_EQ(output.thought.size(), 4u + 3u + 1u);
  EXPECT_EQ(output.closes, 1);
}

TEST(ThinkingBudget, ThereIsRoomForTheAnswer) {
  for (int max_tokens = 12; max_tokens <= 120; ++max_tokens) {
    const ThinkingLimits limits{.budget = 1000, .max_tokens = max_tokens, .answer_reserve = max_tokens / 4};
    const Output output = run(limits, words);
    EXPECT_EQ(output.end, ThinkingEnd::kLength) << max_tokens;
    EXPECT_GE(static_cast<int>(output.answer.size()), max_tokens / 4) << max_tokens;
  }
  const Output output = run({.budget = 7, .max_tokens = 100, .answer_reserve = 25}, words);
  EXPECT_EQ(output.end, ThinkingEnd::kBudget);
}

TEST(ThinkingBudget, WhereNothingFitsNothingIsForced) {
  for (const int max_tokens : {1, 2, 3}) {
    const Output output = run({.max_tokens = max_tokens, .answer_reserve = 1}, words);
    EXPECT_EQ(output.closes, 0);
  }
}

TEST(ThinkingBudget, AStopTokenInAThoughtClosesIt) {
  const Output output = run({.budget = 50}, [](std::span<const TokenId> ids) {
    if (ids.size() == 3) return kStop;  // in the thought
    return ids.size() < 8 ? kWord : kStop;
  });
  EXPECT_EQ(output.ids, (std::vector<TokenId>{kWord, kWord, kWord, kClose, kWord, kWord, kWord, kWord, kStop}));
  EXPECT_EQ(output.end, ThinkingEnd::kNone);
}

TEST(ThinkingBudget, AnAnswerIsNeverEmpty) {
  const auto silent = [](auto) { return kStop; };
  for (const int budget : {-1, 0, 1, 5}) {
    EXPECT_EQ(run({.budget = budget}, silent).answer, std::vector<TokenId>{kOther}) << budget;
    EXPECT_EQ(run({.budget = budget}, silent, false).answer, std::vector<TokenId>{kOther}) << budget;
  }
  // White space is no answer, and neither tag may stand in its place.
  const Output output =
      run({.budget = 1}, script({kWord, kNewline, 30, 31, 32, 33, 34, kNewline, kClose, kNewline, kNewline, kStop}));
  EXPECT_EQ(output.answer, std::vector<TokenId>{kOther});
  const Output tags =
      run({.budget = 2, .max_tokens = 60}, [](auto ids) { return ids.size() % 2 == 0 ? kOpen : kClose; });
  EXPECT_FALSE(tags.answer.empty());
}

TEST(ThinkingBudget, WithoutAnAnswerToEnsureOnlyTheDeadlineChangesAnything) {
  const ThinkingLimits limits{.deadline = Clock::time_point() + milliseconds(1000),
                              .max_tokens = 60,
                              .answer_reserve = 15,
                              .ensure_answer = false};
  EXPECT_EQ(run(limits, words).ids, std::vector<TokenId>(60, kWord));
  EXPECT_EQ(run(limits, script({kWord})).ids, (std::vector<TokenId>{kWord, kStop}));
  EXPECT_EQ(run(limits, script({}), false).ids, std::vector<TokenId>{kStop});
  EXPECT_EQ(run(limits, script({kClose, kClose, kOpen})).ids, (std::vector<TokenId>{kClose, kClose, kOpen, kStop}));
  const Output late = run(limits, words, true, milliseconds(20));
  EXPECT_EQ(late.end, ThinkingEnd::kDeadline);
  EXPECT_GT(late.answer.size(), 5u);
}

TEST(ThinkingBudget, AReopenedThoughtKeepsCounting) {
  const Output output = run({.budget = 5}, [](std::span<const TokenId> ids) {
    const std::vector<TokenId> begin = {kWord, kWord, kWord, kClose, kOther, kOpen};
    if (ids.size() < begin.size()) return begin[ids.size()];
    return ids.size() < 60 ? kWord : kStop;
  });
  EXPECT_EQ(output.end, ThinkingEnd::kBudget);
  EXPECT_EQ(output.thought.size(), static_cast<size_t>(5 + kClosing - 2));
  EXPECT_EQ(output.closes, 2);
}

TEST(ThinkingBudget, ClosedByForceStaysClosed) {
  const Output output = run({.budget = 2, .max_tokens = 200},
                            [](std::span<const TokenId> ids) { return ids.size() % 5 == 0 ? kOpen : kWord; });
  EXPECT_LE(static_cast<int>(output.thought.size()), 2 + kClosing);
  for (size_t i = static_cast<size_t>(2 + kClosing); i + 1 < output.ids.size(); ++i) {
    if (output.ids[i] == kOpen) {
      EXPECT_EQ(output.ids[i + 1], kClose);
    }
  }
  EXPECT_GT(output.closes, 3);
  EXPECT_EQ(output.end, ThinkingEnd::kBudget);
}

// The hybrid family opens its thought itself.
TEST(ThinkingBudget, AThoughtThatTheModelOpens) {
  const auto model = [](std::span<const TokenId> ids) { return ids.empty() ? kOpen : ids.size() < 80 ? kWord : kStop; };
  const Output output = run({.budget = 10}, model, false);
  EXPECT_EQ(output.thought.size(), static_cast<size_t>(10 + kClosing - 2));
  const Output none = run({.budget = 0}, model, false);
  EXPECT_EQ(none.ids[0], kOther);
  EXPECT_TRUE(none.thought.empty());
  const Output answer = run({.budget = 10}, script({kWord, kOther}), false);
  EXPECT_EQ(answer.ids, (std::vector<TokenId>{kWord, kOther, kStop}));
}

TEST(ThinkingBudget, ALoopIsClosed) {
  const Output output = run({.budget = 1000, .loop_guard = true}, thinker);
  EXPECT_EQ(output.end, ThinkingEnd::kLoop);
  EXPECT_EQ(output.thought.size(), static_cast<size_t>(LoopGuard::kMinTokens + kClosing - 2));
  EXPECT_EQ(run({.budget = 1000}, thinker).end, ThinkingEnd::kBudget);
}

TEST(ThinkingBudget, TimeClosesTheThought) {
  const Output output = run({.time = milliseconds(100)}, thinker, true, milliseconds(10));
  EXPECT_EQ(output.end, ThinkingEnd::kDeadline);
  EXPECT_EQ(output.thought.size(), static_cast<size_t>(10 + kClosing - 2));
  EXPECT_EQ(run({.budget = 3, .time = milliseconds(100)}, thinker, true, milliseconds(10)).end, ThinkingEnd::kBudget);
  EXPECT_EQ(run({.time = milliseconds(0)}, thinker).thought.size(), static_cast<size_t>(kClosing - 2));
}

// 10 ms a token, one second: closing and answer take 9 + 20 tokens, so the thought ends at the 71st.
TEST(ThinkingBudget, TheDeadlineLeavesTimeForTheAnswer) {
  const Clock::time_point start{milliseconds(5000)};
  const ThinkingLimits limits{.deadline = start + milliseconds(1000), .answer_reserve = 20};
  const Output output = run(limits, thinker, true, milliseconds(10), start);
  EXPECT_EQ(output.end, ThinkingEnd::kDeadline);
  EXPECT_EQ(output.ids[71], kNewline);
  EXPECT_EQ(output.ids[70], kWord);
  EXPECT_EQ(output.ids[72], 30);
}

// An answer of a thousand tokens would take all the time there is: half of it is the thought's.
TEST(ThinkingBudget, ATightDeadlineIsShared) {
  const Clock::time_point start{milliseconds(5000)};
  const ThinkingLimits limits{.deadline = start + milliseconds(1000), .answer_reserve = 1000};
  EXPECT_EQ(run(limits, thinker, true, milliseconds(10), start).ids[50], kNewline);
  // So slow that the sentence would eat the answer's time: the short closing.
  const Output slow = run(limits, thinker, true, milliseconds(100), start);
  EXPECT_EQ(slow.ids[6], kClose);
}

TEST(ThinkingBudget, NamesOfEnds) {
  EXPECT_EQ(thinking_end_name(ThinkingEnd::kNone), "natural");
  EXPECT_EQ(thinking_end_name(ThinkingEnd::kDeadline), "deadline");
}

}  // namespace
}  // namespace qwen
