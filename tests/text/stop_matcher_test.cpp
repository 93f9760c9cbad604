#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace qwen {
namespace {

struct Outcome {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << '"' << outcome.text << "\" stop " << (outcome.stop ? static_cast<int>(*outcome.stop) : -1);
}

Outcome run(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.text += matcher.push(piece);
  outcome.text += matcher.flush();
  outcome.stop = matcher.matched();
  return outcome;
}

// The definition, on the whole text.
Outcome expected(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> longest;
    for (size_t i = 0; i < stops.size(); ++i)
      if (!stops[i].empty() && std::string_view(text).substr(0, end).ends_with(stops[i]) &&
          (!longest || stops[i].size() > stops[*longest].size()))
        longest = i;
    if (longest) return {text.substr(0, end - stops[*longest].size()), longest};
  }
  return {text, std::nullopt};
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"\n\nUser:", "END"});
  EXPECT_EQ(matcher.push("Hello\n"), "Hello");
  EXPECT_EQ(matcher.push("\n"), "");
  EXPECT_EQ(matcher.push("\nUs"), "\n");  // the first newline can no longer begin it
  EXPECT_EQ(matcher.push("ed E"), "\n\nUsed ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.push("D of it"), "");
  EXPECT_EQ(matcher.matched(), 1u);
  EXPECT_EQ(matcher.matched_text(), "END");
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcher, FlushGivesTheHeldText) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(matcher.push("non sto"), "non ");
  EXPECT_EQ(matcher.flush(), "sto");
  EXPECT_EQ(matcher.push("p"), "p");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, FirstCompleteThenLongest) {
  EXPECT_EQ(run({"world", "lo wo"}, {"hello world"}), (Outcome{"hel", 1}));
  EXPECT_EQ(run({"bc", "abc"}, {"xabc"}), (Outcome{"x", 1}));
  EXPECT_EQ(run({"abcd", "bc"}, {"xabcd"}), (Outcome{"xa", 1}));
}

TEST(StopMatcher, WithoutStopsTextPassesThrough) {
  EXPECT_EQ(run({}, {"a", "b"}), (Outcome{"ab", std::nullopt}));
  EXPECT_EQ(run({"", ""}, {"a", "b"}), (Outcome{"ab", std::nullopt}));
  EXPECT_EQ(run({"", "b"}, {"a", "b"}), (Outcome{"a", 1}));
}

TEST(StopMatcher, AnyCutGivesTheSame) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    const auto word = [&](size_t length) {
      std::string text;
      for (size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 2);
      return text;
    };
    std::vector<std::string> stops;
    for (size_t i = 0; i < 1 + random() % 3; ++i) stops.push_back(word(2 + random() % 7));
    const std::string text = word(random() % 40);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t length = 1 + random() % 5;
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    const Outcome outcome = run(stops, pieces), wanted = expected(stops, text);
    EXPECT_EQ(outcome.text, wanted.text) << text;
    ASSERT_EQ(outcome.stop.has_value(), wanted.stop.has_value());
    if (wanted.stop) {
      EXPECT_EQ(stops[*outcome.stop], stops[*wanted.stop]);
    }
  }
}

TEST(StopMatcher, LinearOnRepetitiveText) {
  const std::string a(1 << 20, 'a');
  StopMatcher matcher({std::string(5000, 'a') + "b", std::string(3000, 'a') + "c"});
  std::string out = matcher.push(a);
  EXPECT_EQ(out.size(), a.size() - 5000);
  EXPECT_EQ((out + matcher.flush()).size(), a.size());
}

}  // namespace
}  // namespace qwen
