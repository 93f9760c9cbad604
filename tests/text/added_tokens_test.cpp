#include "text/added_tokens.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

TEST(AddedTokens, TheLongestAtTheFirstPlaceWins) {
  const AddedTokenMatcher matcher(
      {{"<a>", 1, false}, {"<a>b", 2, false}, {"<", 3, true}, {"b<a>b", 4, false}, {"é", 5, false}});
  const auto match = matcher.find("x<a>b", 0);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->begin, 1u);
  EXPECT_EQ(match->length, 4u);
  EXPECT_EQ(match->id, 2);
  EXPECT_EQ(matcher.find("xb<a>b", 0)->id, 4);
  EXPECT_EQ(matcher.find("<a", 0)->id, 3);
  EXPECT_EQ(matcher.find("<a>b é", 2)->id, 5);
  EXPECT_FALSE(matcher.find("plain", 0));
  EXPECT_FALSE(matcher.find("<", 1));
  EXPECT_FALSE(matcher.find("", 0));
}

TEST(AddedTokens, FindsIdsByText) {
  const AddedTokenMatcher matcher({{"<a>", 1, false}, {"<a>b", 2, false}});
  EXPECT_EQ(matcher.id_of("<a>"), 1);
  EXPECT_EQ(matcher.id_of("<a>b"), 2);
  EXPECT_FALSE(matcher.id_of("<a>c"));
  EXPECT_FALSE(matcher.id_of(" <a>"));
  EXPECT_FALSE(AddedTokenMatcher().id_of("<a>"));
}

}  // namespace
}  // namespace qwen
