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

TEST(EscapeControls, LeavesNothingThatEndsALineOrTurnsIt) {
  EXPECT_EQ(escape_controls("内存 é %"), "内存 é %");
  EXPECT_EQ(escape_controls("a\r\n\x1b[2J"), "a\\x0d\\x0a\\x1b[2J");
  EXPECT_EQ(escape_controls("\xc2\x85\xc2\x9b|\xe2\x80\xa8|\xe2\x80\xa9"), "\\u0085\\u009b|\\u2028|\\u2029");
  EXPECT_EQ(escape_controls("\xe2\x80\xae\xe2\x81\xa6"), "\\u202e\\u2066");
  EXPECT_EQ(escape_controls("\xff\xe2\x80|"), "\\xff\\xe2\\x80|");
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
