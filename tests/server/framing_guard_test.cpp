// Group H of the robustness list, as far as the head alone decides: each row has exactly one verdict.
#include "server/http/framing_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace qwen {
namespace {

std::string head(const std::string& fields, const std::string& line = "POST /generate HTTP/1.1",
                 const std::string& host = "Host: a\r\n") {
  return line + "\r\n" + host + fields + "\r\n";
}

int verdict(const std::string& raw) {
  RequestHead parsed;
  const auto refused = check_head(raw, HttpLimits{}, parsed);
  return refused ? refused->status : 200;
}

struct Row {
  const char* name;
  std::string raw;
  int status;
};

std::string row_name(const testing::TestParamInfo<Row>& row) { return row.param.name; }
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class FramingGuard : public testing::TestWithParam<Row> {};

TEST_P(FramingGuard, HasOneVerdict) { EXPECT_EQ(verdict(GetParam().raw), GetParam().status); }

using std::string_literals::operator""s;

INSTANTIATE_TEST_SUITE_P(Accepted, FramingGuard,
                         testing::Values(Row{"plain", head("Content-Length: 5\r\n"), 200},
                                         Row{"chunked", head("Transfer-Encoding: chunked\r\n"), 200},
                                         Row{"chunked_upper", head("transfer-encoding:CHUNKED\r\n"), 200},
                                         Row{"http10", head("", "GET / HTTP/1.0", ""), 200},
                                         Row{"host_port", head("", "GET / HTTP/1.1", "Host: a.b:80\r\n"), 200},
                                         Row{"host_ipv6", head("", "GET / HTTP/1.1", "Host: [::1]:8000\r\n"), 200},
                                         Row{"query", head("", "GET /a?b=%00..//c HTTP/1.1"), 200},
                                         Row{"zero_length", head("Content-Length: 0\r\n"), 200},
                                         Row{"options_star", head("", "OPTIONS * HTTP/1.1"), 200},
                                         Row{"expect", head("Expect: 100-continue\r\nContent-Length: 1\r\n"), 200},
                                         Row{"utf8_path", head("", "GET /%E4%BD%A0 HTTP/1.1"), 200}),
                         row_name);

INSTANTIATE_TEST_SUITE_P(
    Lengths, FramingGuard,
    testing::Values(
        Row{"te_then_cl", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
        Row{"cl_then_te", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
        Row{"te_gzip", head("Transfer-Encoding: gzip\r\n"), 501},
        Row{"te_identity", head("Transfer-Encoding: identity\r\n"), 501},
        Row{"te_list", head("Transfer-Encoding: chunked, gzip\r\n"), 400},
        Row{"te_list_last_chunked", head("Transfer-Encoding: gzip, chunked\r\n"), 400},
        Row{"te_x", head("Transfer-Encoding: xchunked\r\n"), 501}, Row{"te_empty", head("Transfer-Encoding:\r\n"), 400},
        Row{"te_quoted", head("Transfer-Encoding: \"chunked\"\r\n"), 400},
        Row{"te_twice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
        Row{"te_tab", head("Transfer-Encoding:\tchunked\r\n"), 400},
        Row{"te_vt", head("Transfer-Encoding: \vchunked\r\n"), 400},
        Row{"te_http10", head("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0"), 400},
        Row{"cl_twice_equal", head("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
        Row{"cl_twice", head("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
        Row{"cl_list", head("Content-Length: 5, 5\r\n"), 400}, Row{"cl_plus", head("Content-Length: +5\r\n"), 400},
        Row{"cl_zero_padded", head("Content-Length: 05\r\n"), 400},
        Row{"cl_spaces", head("Content-Length: 5 5\r\n"), 400}, Row{"cl_negative", head("Content-Length: -1\r\n"), 400},
        Row{"cl_hex", head("Content-Length: 0x5\r\n"), 400}, Row{"cl_empty", head("Content-Length:\r\n"), 400},
        Row{"cl_huge", head("Content-Length: 99999999999999999999999\r\n"), 413}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Lines, FramingGuard,
    testing::Values(Row{"bare_lf", "GET / HTTP/1.1\nHost: a\n\n", 400},
                    Row{"bare_lf_inside", head("X: a\nY: b\r\n"), 400}, Row{"bare_cr", head("X: a\rb\r\n"), 400},
                    Row{"nul", head("X: a\0b\r\n"s), 400}, Row{"obs_fold", head("X: a\r\n b\r\n"), 400},
                    Row{"obs_fold_te", head("Transfer-Encoding:\r\n chunked\r\n"), 400},
                    Row{"space_before_colon", head("X : a\r\n"), 400}, Row{"no_colon", head("Xa\r\n"), 400},
                    Row{"empty_name", head(": a\r\n"), 400}, Row{"name_not_ascii", head("X\xc3\xa4: a\r\n"), 400},
                    Row{"control_in_value", head("X: a\x01\r\n"), 400},
                    Row{"underscore_te", head("Transfer_Encoding: chunked\r\n"), 400},
                    Row{"underscore_cl", head("content_length: 5\r\n"), 400},
                    Row{"underscore_auth", head("Authorization: a\r\nauthorization_: b\r\n"), 200},
                    Row{"auth_twice", head("Authorization: a\r\nAuthorization: b\r\n"), 400},
                    Row{"two_ends", head("") + "X: y\r\n\r\n", 400}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    RequestLine, FramingGuard,
    testing::Values(
        Row{"tls_hello", "\x16\x03\x01\x02\r\n\r\n", 400}, Row{"http2_preface", "PRI * HTTP/2.0\r\n\r\n", 505},
        Row{"http09", head("", "GET / HTTP/0.9"), 505}, Row{"http19", head("", "GET / HTTP/1.9"), 505},
        Row{"lower_version", head("", "GET / http/1.1"), 400}, Row{"no_version", head("", "GET /"), 400},
        Row{"two_spaces", head("", "GET  / HTTP/1.1"), 400}, Row{"trailing_space", head("", "GET / HTTP/1.1 "), 400},
        Row{"long_method", head("", std::string(10'000, 'A') + " / HTTP/1.1"), 400},
        Row{"bad_method", head("", "GE(T / HTTP/1.1"), 400},
        Row{"absolute_form", head("", "GET http://a/ HTTP/1.1"), 400},
        Row{"authority_form", head("", "CONNECT a:80 HTTP/1.1"), 400}, Row{"star_get", head("", "GET * HTTP/1.1"), 400},
        Row{"dot_dot", head("", "GET /v1/../health HTTP/1.1"), 400},
        Row{"dot_dot_encoded", head("", "GET /%2e%2E/x HTTP/1.1"), 400}, Row{"dot", head("", "GET /./x HTTP/1.1"), 400},
        Row{"nul_encoded", head("", "GET /%00 HTTP/1.1"), 400},
        Row{"slash_encoded", head("", "GET /a%2fb HTTP/1.1"), 400},
        Row{"backslash", head("", "GET /a\\b HTTP/1.1"), 400}, Row{"fragment", head("", "GET /a#b HTTP/1.1"), 400},
        Row{"broken_escape", head("", "GET /%4 HTTP/1.1"), 400}, Row{"not_utf8", head("", "GET /%ff HTTP/1.1"), 400},
        Row{"raw_utf8", head("", "GET /\xe4\xbd\xa0 HTTP/1.1"), 400},
        Row{"target_8k", head("", "GET /" + std::string(8192, 'a') + " HTTP/1.1"), 414},
        Row{"target_64k", head("", "GET /" + std::string(65536, 'a') + " HTTP/1.1"), 414}),
    row_name);

INSTANTIATE_TEST_SUITE_P(Fields, FramingGuard,
                         testing::Values(Row{"no_host", head("", "GET / HTTP/1.1", ""), 400},
                                         Row{"two_hosts", head("Host: b\r\n"), 400},
                                         Row{"host_path", head("", "GET / HTTP/1.1", "Host: a/health?x=\r\n"), 400},
                                         Row{"host_user", head("", "GET / HTTP/1.1", "Host: u@a\r\n"), 400},
                                         Row{"host_empty", head("", "GET / HTTP/1.1", "Host:\r\n"), 400},
                                         Row{"host_port_text", head("", "GET / HTTP/1.1", "Host: a:b\r\n"), 400},
                                         Row{"value_64k", head("X: " + std::string(65536, 'a') + "\r\n"), 431},
                                         Row{"unknown_expectation", head("Expect: a-pony\r\n"), 417},
                                         Row{"many_fields", head([] {
                                               std::string fields;
                                               for (int i = 0; i < 150; ++i)
                                                 fields += "X-" + std::to_string(i) + ": 1\r\n";
                                               return fields;
                                             }()),
                                             431}),
                         row_name);

TEST(FramingGuard, FillsTheHead) {
  RequestHead parsed;
  const auto refused = check_head(
      "POST /v1/%6Dodels?a=b HTTP/1.1\r\nHost: a\r\nX-Thing:  two words \r\nConnection: Foo, close\r\nContent-Length: "
      "12\r\n\r\n",
      HttpLimits{}, parsed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(parsed.method, "POST");
  EXPECT_EQ(parsed.path, "/v1/models");
  EXPECT_EQ(parsed.query, "a=b");
  EXPECT_EQ(find_header(parsed.headers, "x-thing"), "two words");
  EXPECT_EQ(parsed.content_length, 12u);
  EXPECT_FALSE(parsed.keep_alive);
  EXPECT_TRUE(parsed.has_body());
}

// A refusal must not wait for the end of a head that never comes.
TEST(FramingGuard, PartialHeadsAreRefusedEarly) {
  const HttpLimits limits;
  EXPECT_FALSE(check_partial_head("GET / HTTP/1.1\r\nHos", limits));
  EXPECT_FALSE(check_partial_head("GET / HTTP/1.1\r", limits));
  EXPECT_EQ(check_partial_head("\x16\x03\x01", limits)->status, 400);
  EXPECT_EQ(check_partial_head("GET / HTTP/1.1\nHost: a\n\n", limits)->status, 400);
  EXPECT_EQ(check_partial_head(std::string(20'000, 'A'), limits)->status, 414);
  EXPECT_EQ(check_partial_head("GET / HTTP/1.1\r\n" + std::string(20'000, 'A'), limits)->status, 431);
}

}  // namespace
}  // namespace qwen
