// Group J of the robustness list: what is and is not a request body.
#include "server/api/request_json.h"

#include <gtest/gtest.h>

#include <ctime>

#include "base/error.h"

namespace qwen {
namespace {

std::string problem(std::string_view body) {
  try {
    parse_request(body);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidValue);
    return e.what();
  }
  return "";
}

using std::string_literals::operator""s;

std::string repeat(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(RequestJson, AcceptsOneObject) {
  const JsonValue value = parse_request("\xef\xbb\xbf {\"a\": [1, 2.5, \"\\u0000\xe4\xbd\xa0\", {\"a\": null}]} \n");
  EXPECT_EQ(value.find("a")->items[2].text, "\0\xe4\xbd\xa0"s);
}

TEST(RequestJson, RefusesEverythingElse) {
  EXPECT_NE(problem(""), "");
  EXPECT_NE(problem("  \n"), "");
  EXPECT_NE(problem("{\"prompt\":").find("byte"), std::string::npos);
  for (const std::string& body : {"{} x"s,
                                  "{}{}"s,
                                  "{\"a\":1}\0{\"n\":9}"s,
                                  "{\"a\":\"b\0c\"}"s,
                                  "{/*c*/}"s,
                                  "{\"a\":1,}"s,
                                  "{'a':1}"s,
                                  "[]"s,
                                  "\"a\""s,
                                  "1"s,
                                  "null"s,
                                  "{\"a\":\"\x80\"}"s,
                                  "{\"a\":\"\xc0\xaf\"}"s,
                                  "{\"a\":\"\xf8\x88\x80\x80\x80\"}"s,
                                  "{\"a\":\"\xe4\xbd\"}"s,
                                  "{\"a\":\"\\ud800\"}"s,
                                  "{\"a\":\"\\udc00\\ud800\"}"s,
                                  "\xff\xfe{\0}\0"s,
                                  "{\"a\":NaN}"s,
                                  "{\"a\":Infinity}"s,
                                  "{\"a\":-Infinity}"s,
                                  "{\"a\":1e999}"s,
                                  "{\"a\":-1e999}"s,
                                  "{\"a\":18446744073709551616}"s,
                                  "{\"a\":-9223372036854775809}"s,
                                  "{\"a\":01}"s,
                                  "{\"a\":+1}"s,
                                  "{\"a\":\"\n\"}"s})
    EXPECT_NE(problem(body), "") << body;
}

TEST(RequestJson, BoundsDepthWithoutRecursion) {
  EXPECT_EQ(problem("{\"a\":" + repeat("[", 31) + repeat("]", 31) + "}"), "");
  EXPECT_NE(problem("{\"a\":" + repeat("[", 32) + repeat("]", 32) + "}"), "");
  EXPECT_NE(problem(repeat("[", 100'000)).find("deeper"), std::string::npos);
  EXPECT_NE(problem(repeat("{\"a\":", 100'000)).find("deeper"), std::string::npos);
}

TEST(RequestJson, RefusesRepeatedKeysAtEveryLevel) {
  EXPECT_NE(problem("{\"max_tokens\":1,\"max_tokens\":100000}"), "");
  EXPECT_NE(problem("{\"a\":1,\"b\":2,\"\\u0061\":1}"), "");
  EXPECT_NE(problem("{\"x\":[{\"a\":1,\"a\":1}]}"), "");
  EXPECT_EQ(problem("{\"x\":[{\"a\":1},{\"a\":1}]}"), "");
}

// The text of an error holds none of the client's own bytes but the name of a field.
TEST(RequestJson, ErrorsDoNotEcho) { EXPECT_EQ(problem("{\"secret\" oops}").find("secret"), std::string::npos); }

std::string place(std::string_view body) {
  try {
    parse_request(body);
  } catch (const Error& e) {
    return e.param();
  }
  return "none";
}

TEST(RequestJson, NamesTheFieldOfANumberOrAKey) {
  EXPECT_EQ(place("{\"a\":1,\"max_length\":99999999999999999999999}"), "max_length");
  EXPECT_EQ(place("{\"seed\":18446744073709551616}"), "seed");
  EXPECT_EQ(place("{\"temperature\":1e999}"), "temperature");
  EXPECT_EQ(place("{\"b\":1,\"seed\":1,\"a\":2,\"seed\":3}"), "seed");
  EXPECT_EQ(place("{\"tokens\":[1,[],1e999]}"), "tokens[2]");
  EXPECT_EQ(place("{\"m\":[{\"x\":0},{\"x\":[0,{\"role\":1,\"role\":2}]}]}"), "m[1].x[1].role");
  EXPECT_EQ(problem("{\"seed\":18446744073709551616}"), "seed must be an integer that 64 bits can hold");
  // Not fit to be shown.
  for (const std::string& name : {"\\n"s, ""s, "a b"s, "\xe4\xbd\xa0"s, std::string(65, 'x')}) {
    EXPECT_EQ(place("{\"" + name + "\":1e999}"), "") << name;
    EXPECT_EQ(problem("{\"" + name + "\":1,\"" + name + "\":1}"), "the body gives the same key twice in one object");
  }
  EXPECT_EQ(place("{\"a\":" + repeat("{\"" + std::string(60, 'k') + "\":", 5) + "1e999" + repeat("}", 5) + "}"), "");
  EXPECT_EQ(place("1e999"), "");
}

// Of this thread: the machine may have other things to do.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

TEST(RequestJson, HugeInputsAreFast) {
  const auto expect_fast = [](const char* name, const std::string& body) {
    const double begin = cpu_seconds();
    problem(body);
    const double seconds = cpu_seconds() - begin;
    RecordProperty(name, std::to_string(seconds));
    EXPECT_LT(seconds, 10.0) << name;  // sanitizers and debug builds included; quadratic time would be minutes
  };
  std::string keys = "{";
  for (int i = 0; i < 250'000; ++i) keys += "\"k" + std::to_string(i) + "\":1,";
  keys.back() = '}';
  expect_fast("keys", keys);
  expect_fast("string", "{\"a\":\"" + std::string(4 << 20, 'a') + "\"}");
  expect_fast("number", "{\"a\":" + std::string(4 << 20, '1') + "}");
  EXPECT_NE(problem("{\"a\":[" + repeat("1,", 300'000) + "1]}"), "");
}

}  // namespace
}  // namespace qwen
