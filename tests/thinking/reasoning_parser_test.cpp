#include "thinking/reasoning_parser.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace qwen {
namespace {

constexpr TokenId kOpen = 1, kClose = 2, kWord = 3;
constexpr ReasoningTokens kTags{kOpen, kClose};

using Tokens = std::vector<std::pair<TokenId, std::string>>;

struct Result {
  std::string reasoning, content;
  bool in_thought = false, answered = false;
  int reasoning_tokens = 0;
};

Result parse(bool starts_in_thought, const Tokens& tokens, ReasoningTokens tags = kTags) {
  ReasoningParser parser(tags, starts_in_thought);
  Result result;
  for (const auto& [id, text] : tokens) {
    const ReasoningDelta delta = parser.push(id, text);
    result.reasoning += delta.reasoning;
    result.content += delta.content;
    EXPECT_TRUE(result.reasoning.empty() || result.reasoning.back() != '\n') << "a trailing newline was not held back";
  }
  result.in_thought = parser.in_thought();
  result.answered = parser.answered();
  result.reasoning_tokens = parser.reasoning_tokens();
  return result;
}

TEST(ReasoningParser, SplitsAThoughtFromItsAnswer) {
  const Result result = parse(true, {{kWord, "\nLet me"},
                                     {kWord, " see.\n\n"},
                                     {kWord, "So"},
                                     {kWord, "\n"},
                                     {kClose, "</think>"},
                                     {kWord, "\n\n"},
                                     {kWord, "\nParis"},
                                     {kWord, ".\n\n"},
                                     {kWord, "Yes\n"}});
  EXPECT_EQ(result.reasoning, "Let me see.\n\nSo");
  EXPECT_EQ(result.content, "Paris.\n\nYes\n");
  EXPECT_FALSE(result.in_thought);
  EXPECT_EQ(result.reasoning_tokens, 4);
}

TEST(ReasoningParser, FirstTokenDecidesWhereThePromptDoesNot) {
  const Result thought = parse(false, {{kOpen, "<think>"}, {kWord, "\nr\n"}, {kClose, ""}, {kWord, "a"}});
  EXPECT_EQ(thought.reasoning, "r");
  EXPECT_EQ(thought.content, "a");
  const Result answer = parse(false, {{kWord, "\n\na"}, {kWord, "\n"}});
  EXPECT_EQ(answer.reasoning, "");
  EXPECT_EQ(answer.content, "a\n");
  EXPECT_EQ(answer.reasoning_tokens, 0);
  EXPECT_TRUE(answer.answered);
}

TEST(ReasoningParser, CutThoughtHasNoAnswer) {
  const Result result = parse(true, {{kWord, "half a th"}, {kWord, "\n"}});
  EXPECT_TRUE(result.in_thought);
  EXPECT_FALSE(result.answered);
  EXPECT_EQ(result.reasoning, "half a th");
  EXPECT_EQ(result.content, "");
}

TEST(ReasoningParser, TagsWithinAnAnswer) {
  ReasoningParser parser(kTags, true);
  parser.push(kWord, "r1");
  parser.push(kClose, "</think>");
  EXPECT_EQ(parser.push(kWord, "a1").content, "a1");
  const ReasoningDelta stray = parser.push(kClose, "</think>");
  EXPECT_EQ(stray.content + stray.reasoning, "");
  EXPECT_EQ(parser.stray_tags(), 1);
  parser.push(kOpen, "<think>");
  EXPECT_TRUE(parser.in_thought());
  EXPECT_EQ(parser.push(kWord, "\nr2\n").reasoning, "\n\nr2");
  parser.push(kClose, "</think>");
  EXPECT_EQ(parser.push(kWord, "\n\na2").content, "\n\na2");
  EXPECT_EQ(parser.reasoning_tokens(), 2);
}

// A thought cut inside a character: the detokenizer gives the replacement together with the tag.
TEST(ReasoningParser, TextInFrontOfATagBelongsToTheStateBefore) {
  const Result result = parse(true, {{kWord, "r"}, {kClose, "\uFFFD</think>"}, {kWord, "a"}});
  EXPECT_EQ(result.reasoning, "r\uFFFD");
  EXPECT_EQ(result.content, "a");
}

TEST(ReasoningParser, TagsSpeltInWordsAreText) {
  const Result result = parse(true, {{kWord, "the tag </think> is"}, {kClose, "</think>"}, {kWord, "<think>"}});
  EXPECT_EQ(result.reasoning, "the tag </think> is");
  EXPECT_EQ(result.content, "<think>");
}

TEST(ReasoningParser, WithoutTheTagsEverythingIsAnswer) {
  const Result result = parse(true, {{kOpen, "x"}, {kClose, "y"}}, {});
  EXPECT_EQ(result.content, "xy");
  EXPECT_FALSE(result.in_thought);
}

TEST(ReasoningParser, HowTheTextIsCutDoesNotMatter) {
  const std::string thought = "\n\na\n\n\nb\n", answer = "\n\nc\n\nd\n";
  const Result whole = parse(true, {{kWord, thought}, {kClose, "</think>"}, {kWord, answer}});
  Tokens letters;
  for (const char c : thought) letters.emplace_back(kWord, std::string(1, c));
  letters.emplace_back(kClose, "</think>");
  for (const char c : answer) letters.emplace_back(kWord, std::string(1, c));
  const Result pieces = parse(true, letters);
  EXPECT_EQ(whole.reasoning, "a\n\n\nb");
  EXPECT_EQ(whole.content, "c\n\nd\n");
  EXPECT_EQ(pieces.reasoning, whole.reasoning);
  EXPECT_EQ(pieces.content, whole.content);
}

}  // namespace
}  // namespace qwen
