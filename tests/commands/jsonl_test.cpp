#include "commands/jsonl.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <sstream>

#include "base/error.h"

namespace qwen {
namespace {

TEST(Jsonl, AnswersEachLineAndGoesOnAfterOneThatFails) {
  std::istringstream in("first\n\nbad\r\n  \nlast");
  std::ostringstream out;
  const int status = run_jsonl(in, out, [](const std::string& line) {
    if (line.starts_with("bad")) throw Error(ErrorCode::kBadData, "\"bad\" has\na line break");
    return "[" + line + "]";
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(out.str(), "[first]\n{\"error\":\"\\\"bad\\\" has\\na line break\"}\n[last]\n");
}

TEST(Jsonl, AStreamedAnswerIsCheckedBeforeItsFirstByte) {
  std::istringstream in("good\nbad\nbroken\nnever\n");
  std::ostringstream out;
  const auto prepare = [](const std::string& line) -> AnswerWriter {
    if (line == "bad") throw Error(ErrorCode::kInvalidValue, "bad");
    return [line](std::ostream& to) {
      to << '<' << line;
      if (line == "broken") throw Error(ErrorCode::kInternal, "broken");
      to << '>';
    };
  };
  EXPECT_THROW(stream_jsonl(in, out, prepare), Error) << "half a line cannot be taken back";
  EXPECT_EQ(out.str(), "<good>\n{\"error\":\"bad\"}\n<broken");
}

TEST(Jsonl, AFullDiskIsAnError) {
  std::istringstream in("line\n");
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_THROW(run_jsonl(in, out, [](const std::string& line) { return line; }), Error);
}

TEST(Jsonl, TextThatIsNotUtf8StaysJson) {
  EXPECT_EQ(text_json("a\xff"), "{\"text\":\"a\xEF\xBF\xBD\"}");
  EXPECT_EQ(error_json("\xf0\x9f"), "{\"error\":\"\xEF\xBF\xBD\"}");
}

TEST(Jsonl, FloatsReadBackAsTheSameBits) {
  const std::vector<float> values = {0.1f, -0.0f, 1.0f, 3.4028235e38f, 1e-45f, 16777216.0f, 0.333333343f};
  std::string text;
  append_floats(text, values);
  const char* at = text.c_str() + 1;
  for (const float value : values) {
    char* end = nullptr;
    const float read = std::strtof(at, &end);
    EXPECT_EQ(std::bit_cast<uint32_t>(read), std::bit_cast<uint32_t>(value)) << text;
    at = end + 1;
  }
  text.clear();
  append_floats(text,
                std::vector<float>{std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()});
  EXPECT_EQ(text, "[null,null]");
}

TEST(ParseIds, TakesWhatTheCommandsPrint) {
  const std::vector<TokenId> expected = {1, 22, 333};
  EXPECT_EQ(parse_ids("1,22,333", "--ids"), expected);
  EXPECT_EQ(parse_ids(" 1 22\n333\n", "--ids"), expected);
  EXPECT_EQ(parse_ids("[1, 22, 333]", "--ids"), expected);
}

TEST(ParseIds, NamesTheFlagWhenItIsNoList) {
  for (const char* text : {"", "[]", "1,x", "-1", "1.5", "99999999999", "0x10"}) {
    try {
      parse_ids(text, "--ids");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_NE(std::string(error.what()).find("--ids"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace qwen
