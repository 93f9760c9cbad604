// Bodies: lengths and chunks, whole and byte by byte, and what must not be taken for a second request.
#include "server/http/request_parser.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

using Step = RequestParser::Step;

struct Result {
  int status = 0;  // 200: complete
  std::string body, rest;
};

// Feeds `bytes` in pieces of `piece` bytes.
Result parse(const std::string& bytes, size_t piece, size_t max_body = 1024) {
  HttpLimits limits;
  RequestParser parser(limits);
  std::string buffer;
  bool head_done = false;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    buffer += bytes.substr(at, piece);
    Step step = head_done ? parser.parse_body(buffer) : parser.parse_head(buffer);
    if (step == Step::kHead) {
      head_done = true;
      step = parser.begin_body(max_body);
      if (step == Step::kNeedMore) step = parser.parse_body(buffer);
    }
    if (step == Step::kError) return {parser.error().status, "", buffer};
    if (step == Step::kComplete)
      return {200, parser.take_body(), buffer + bytes.substr(std::min(at + piece, bytes.size()))};
  }
  return {0, "", buffer};
}

std::string chunked(const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
}
std::string sized(const std::string& length, const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\n" + body;
}

class EveryPieceSize : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Pieces, EveryPieceSize, testing::Values(1, 2, 3, 7, 64, 100'000));

TEST_P(EveryPieceSize, TakesExactlyOneRequest) {
  const std::string second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const std::string& first : {sized("5", "hello"), chunked("2\r\nhe\r\n3;x=\"y\"\r\nllo\r\n0\r\n\r\n"),
                                   chunked("5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"), "\r\n" + sized("5", "hello")}) {
    const Result result = parse(first + second, GetParam());
    EXPECT_EQ(result.status, 200) << first;
    EXPECT_EQ(result.body, "hello");
    EXPECT_EQ(result.rest, second);
  }
}

TEST_P(EveryPieceSize, RefusesMalformedChunks) {
  for (const char* body :
       {"-2\r\nhe\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "5;x\ny\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n"}) {
    const Result result = parse(chunked(body), GetParam());
    EXPECT_EQ(result.status, 400) << body;
  }
}

TEST_P(EveryPieceSize, ExtensionsAndTrailersStayInTheirLine) {
  for (const char* body :
       {"5;x=\"y\r\nhello\r\n0\r\n\r\n", "5;x=\"y\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nX: \"\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n", "0\r\ntransfer-encoding: x\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\n x\r\n\r\n",
        "0\r\nX: \x01\r\n\r\n", "0\r\n\n"})
    EXPECT_EQ(parse(chunked(body), GetParam()).status, 400) << body;
  EXPECT_EQ(parse(chunked("5;x=\"y\\\"\";z\r\nhello\r\n0;last\r\nX: y\r\n\r\n"), GetParam()).body, "hello");
}

// Whole or in pieces: the limit is on all extensions and trailers together.
TEST_P(EveryPieceSize, BoundsWhatIsSkipped) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += "1;" + std::string(100, 'x') + "\r\na\r\n";
  EXPECT_EQ(parse(chunked(many + "0\r\n\r\n"), GetParam()).status, 400);
  EXPECT_EQ(parse(chunked("1;" + std::string(20'000, 'x') + "\r\na\r\n0\r\n\r\n"), GetParam()).status, 400);
  EXPECT_EQ(parse(chunked("0\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"), GetParam()).status, 400);
}

TEST(RequestParser, BoundsBodiesAndFraming) {
  EXPECT_EQ(parse(sized("1025", std::string(1025, 'a')), 64).status, 413);
  EXPECT_EQ(parse(sized("1024", std::string(1024, 'a')), 64).status, 200);
  EXPECT_EQ(parse(chunked("401\r\n" + std::string(1025, 'a') + "\r\n0\r\n\r\n"), 64).status, 413);
  EXPECT_EQ(parse(chunked("ffffffffffffffff\r\n"), 64).status, 413);
  EXPECT_EQ(parse(chunked("5;" + std::string(1'000'000, 'x') + "\r\nhello\r\n0\r\n\r\n"), 8192).status, 400);
  EXPECT_EQ(parse(chunked("5\r\nhello\r\n0\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"), 8192).status, 400);
  std::string many;
  for (int i = 0; i < 500'000; ++i) many += "1\r\na\r\n";
  EXPECT_EQ(parse(chunked(many + "0\r\n\r\n"), 8192, 1'000'000).body.size(), 500'000u);
  EXPECT_EQ(parse(chunked(many + "0\r\n\r\n"), 8192, 1'000).status, 413);
}

TEST(RequestParser, TrailersChangeNothing) {
  HttpLimits limits;
  RequestParser parser(limits);
  std::string buffer = chunked("1\r\na\r\n0\r\nAuthorization: Bearer x\r\nHost: evil\r\n\r\n");
  ASSERT_EQ(parser.parse_head(buffer), Step::kHead);
  ASSERT_EQ(parser.begin_body(10), Step::kNeedMore);
  ASSERT_EQ(parser.parse_body(buffer), Step::kComplete);
  EXPECT_FALSE(find_header(parser.head().headers, "authorization"));
  EXPECT_EQ(find_header(parser.head().headers, "host"), "a");
}

TEST(RequestParser, OneEmptyLineIsForgivenTwoAreNot) {
  EXPECT_EQ(parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 100).status, 200);
  EXPECT_EQ(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 100).status, 400);
  EXPECT_EQ(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1).status, 400);
}

}  // namespace
}  // namespace qwen
