#include "commands/bench_sizes.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace qwen {
namespace {

TEST(BenchSizes, ListsAndNone) {
  EXPECT_EQ(parse_sizes("--decode", "0", 0, 10), std::vector<int>({0}));
  EXPECT_EQ(parse_sizes("--decode", "7,10,1", 0, 10), std::vector<int>({7, 10, 1}));
  EXPECT_TRUE(parse_sizes("--decode", "none", 0, 10).empty());
}

TEST(BenchSizes, WrongListsNameTheFlag) {
  for (const char* text : {"", ",", "1,", ",1", "1,,2", "0", "11", "1 2", "x", "1x", "none,1", "-1", "99999999999"}) {
    try {
      parse_sizes("--batch", text, 1, 10);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_EQ(error.param(), "--batch");
      EXPECT_NE(std::string(error.what()).find("from 1 to 10"), std::string::npos) << error.what();
    }
  }
}

TEST(BenchSizes, TextIsReadBack) {
  for (const char* text : {"none", "1", "128,512,2048"}) EXPECT_EQ(sizes_text(parse_sizes("--x", text, 1, 9999)), text);
}

}  // namespace
}  // namespace qwen
