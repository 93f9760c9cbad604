#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/char_class.h"

namespace qwen {
namespace {

std::vector<std::string> pieces(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const size_t length = next_piece(text);
    result.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return result;
}

using Pieces = std::vector<std::string>;

// Expected: what the reference tokenizer's regular expression engine gives.
TEST(Pretokenizer, Words) {
  EXPECT_EQ(pieces("Hello, world!"), (Pieces{"Hello", ",", " world", "!"}));
  EXPECT_EQ(pieces("(a)[b]\u00e9\u4e2d"), (Pieces{"(a", ")[", "b", "]\u00e9\u4e2d"}));
  EXPECT_EQ(pieces("a1b22"), (Pieces{"a", "1", "b", "2", "2"}));
  EXPECT_EQ(pieces(" 1"), (Pieces{" ", "1"}));
  EXPECT_EQ(pieces("\u0661\u00b2\u2167"), (Pieces{"\u0661", "\u00b2", "\u2167"}));
  EXPECT_EQ(pieces("e\u0301a"), (Pieces{"e", "\u0301a"}));  // a mark is no letter: it leads the next word
}

TEST(Pretokenizer, Contractions) {
  EXPECT_EQ(pieces("don't I'LL we'Ve"), (Pieces{"don", "'t", " I", "'LL", " we", "'Ve"}));
  EXPECT_EQ(pieces("'sample"), (Pieces{"'s", "ample"}));
  EXPECT_EQ(pieces("'lr 'l 'r'"), (Pieces{"'lr", " '", "l", " '", "r", "'"}));
  EXPECT_EQ(pieces("x'\u017f's"), (Pieces{"x", "'\u017f", "'s"}));  // the long s folds to s
  EXPECT_EQ(pieces("''t"), (Pieces{"''", "t"}));
}

TEST(Pretokenizer, Symbols) {
  EXPECT_EQ(pieces(" ==\n\r\n x"), (Pieces{" ==\n\r\n", " x"}));
  EXPECT_EQ(pieces("  ="), (Pieces{" ", " ="}));
  EXPECT_EQ(pieces("\t="), (Pieces{"\t", "="}));
  EXPECT_EQ(pieces("=a"), (Pieces{"=a"}));
  EXPECT_EQ(pieces("\U0001f600\u200d!"), (Pieces{"\U0001f600\u200d!"}));
}

TEST(Pretokenizer, WhiteSpace) {
  EXPECT_EQ(pieces("   \n\n   x"), (Pieces{"   \n\n", "  ", " x"}));
  EXPECT_EQ(pieces("a  "), (Pieces{"a", "  "}));
  EXPECT_EQ(pieces("a  \n b"), (Pieces{"a", "  \n", " b"}));
  EXPECT_EQ(pieces("\na"), (Pieces{"\n", "a"}));
  EXPECT_EQ(pieces("\u00a0\u3000a\u2028"), (Pieces{"\u00a0", "\u3000a", "\u2028"}));
  EXPECT_EQ(pieces("\u0085\u0085 1"), (Pieces{"\u0085\u0085", " ", "1"}));
  EXPECT_EQ(pieces("\u180e\u200b"), (Pieces{"\u180e\u200b"}));  // no white space any more
}

// Counted with the reference's engine over all code points.
TEST(Pretokenizer, ClassesOfAllCodePoints) {
  int letters = 0, numbers = 0, spaces = 0;
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    letters += char_class(c) == CharClass::kLetter;
    numbers += char_class(c) == CharClass::kNumber;
    spaces += char_class(c) == CharClass::kSpace;
  }
  EXPECT_EQ(letters, 141028);
  EXPECT_EQ(numbers, 1911);
  EXPECT_EQ(spaces, 25);
  EXPECT_EQ(char_class(0x110000), CharClass::kOther);
  EXPECT_EQ(char_class(0xffffffff), CharClass::kOther);
}

}  // namespace
}  // namespace qwen
