// Foreign text in messages.
#include "base/quote.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace qwen {
namespace {

TEST(Quote, KeepsForeignTextOnOnePrintableLine) {
  EXPECT_EQ(quote("plain é"), "\"plain é\"");
  EXPECT_EQ(quote(std::string_view("a\n\0\x1b\x7f", 5)), "\"a\\x0a\\x00\\x1b\\x7f\"");
  EXPECT_EQ(quote("\xff"), "\"\xef\xbf\xbd\"");
}

TEST(Quote, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "é";
  for (const char* shift : {"", "x"}) {
    const std::string quoted = quote(shift + text);
    EXPECT_LE(quoted.size(), 110u);
    EXPECT_TRUE(utf8_valid(quoted));
    EXPECT_EQ(quoted.find("\xef\xbf\xbd"), std::string::npos);
  }
}

}  // namespace
}  // namespace qwen
