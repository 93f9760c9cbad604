#include "text/json_value.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <functional>

#include "base/error.h"
#include "text/python_number.h"

namespace qwen {
namespace {

// Expected: Python's json.dumps(json.loads(text), ensure_ascii=False).
TEST(JsonValue, PrintsAsPython) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"b\":1,\"a\":[1,2 , {}],\"c\":{}}", "{\"b\": 1, \"a\": [1, 2, {}], \"c\": {}}"},
      {" [ ] ", "[]"},
      {"[true,false,null]", "[true, false, null]"},
      {"[1, 1.0, -0, -0.0, 1e0, 1E5]", "[1, 1.0, 0, -0.0, 1.0, 100000.0]"},
      {"[1e22, 1e16, 1e15, 123456789012345680.0, 1.5e-7, 0.0001, 0.00001]",
       "[1e+22, 1e+16, 1000000000000000.0, 1.2345678901234568e+17, 1.5e-07, 0.0001, 1e-05]"},
      {"[0.1, 100.25, 5e-324, 1.7976931348623157e308]", "[0.1, 100.25, 5e-324, 1.7976931348623157e+308]"},
      {"[9223372036854775807, 18446744073709551615, -18446744073709551617, 123456789012345678901234567890]",
       "[9223372036854775807, 18446744073709551615, -18446744073709551617, 123456789012345678901234567890]"},
      {R"("\u00e9\ud83d\ude00\u2028/\/<>&'")", "\"é😀\u2028//<>&'\""},
      {R"("\"\\\n\r\t\f\b\u0000\u001f\u007f")", "\"\\\"\\\\\\n\\r\\t\\f\\b\\u0000\\u001f\x7f\""},
      {R"({"a":1,"b":2,"a":3})", R"({"a": 3, "b": 2})"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(python_json(std::string_view(text)), expected);
}

TEST(JsonValue, PythonFloats) {
  EXPECT_EQ(python_float(0.0), "0.0");
  EXPECT_EQ(python_float(-1e-4), "-0.0001");
  EXPECT_EQ(python_float(-1.25e-5), "-1.25e-05");
  EXPECT_EQ(python_float(9999999999999998.0), "9999999999999998.0");
  EXPECT_EQ(python_float(1e100), "1e+100");
  EXPECT_EQ(python_float(3.0e-10), "3e-10");
}

TEST(JsonValue, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\"}", "nul", "\"\xff\"", "\"\\ud800\"", "1 2", "01", "NaN", "1e999", "'a'", "[1]x"}) {
    try {
      parse_json(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidValue);
    }
  }
  EXPECT_THROW(parse_json(std::string(5000, '9')), Error);
}

TEST(JsonValue, NestingIsBounded) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_EQ(python_json(nested(kMaxJsonDepth)), nested(kMaxJsonDepth));
  EXPECT_THROW(parse_json(nested(kMaxJsonDepth + 1)), Error);
  EXPECT_THROW(parse_json(std::string(1000000, '[')), Error);
}

TEST(JsonValue, ValuesAreBounded) {
  EXPECT_EQ(parse_json("[1,[2,{\"a\":3}]]", 6).items.size(), 2u);
  EXPECT_THROW(parse_json("[1,[2,{\"a\":3}]]", 5), Error);
  std::string many = "[";
  for (size_t i = 0; i < kMaxJsonValues; ++i) many += "0,";
  many.back() = ']';
  EXPECT_THROW(parse_json(many), Error);
  for (const char* nested : {"[],", "{},"}) {
    std::string containers = "[";
    for (size_t i = 0; i < kMaxJsonValues; ++i) containers += nested;
    containers.back() = ']';
    EXPECT_THROW(parse_json(containers), Error);
  }
}

TEST(JsonValue, Truth) {
  for (const char* text : {"null", "false", "0", "-0.0", "0.0e5", "\"\"", "[]", "{}"})
    EXPECT_FALSE(parse_json(text).truthy()) << text;
  for (const char* text : {"true", "1", "0.01", "1e-300", "\"0\"", "[0]", "{\"a\":0}"})
    EXPECT_TRUE(parse_json(text).truthy()) << text;
}

TEST(JsonValue, ManyRepeatedKeysAreNoAttack) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"k" + std::to_string(i % 50000) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const JsonValue value = parse_json(text);
  EXPECT_EQ(value.members.size(), 50000u);
  EXPECT_EQ(value.find("k7")->text, "150007");
  EXPECT_EQ(value.find("x"), nullptr);
}

#if defined(__GLIBCXX__)
// MurmurHash64A with a constant seed, as libstdc++'s std::hash of strings.
constexpr uint64_t kMul = 0xc6a4a7935bd1e995u, kMulInverse = 0x5f7a0ea7e59b19bdu, kSeed = 0xc70f6907u;

uint64_t fold(uint64_t v) { return v ^ v >> 47; }

// Texts of 16 printable bytes that take the hash from one state to another: eight bytes are counted up, the other eight
// solved for.
std::vector<std::string> paths(uint64_t from, uint64_t to, size_t count) {
  std::vector<std::string> texts;
  for (uint64_t i = 0; texts.size() < count; ++i) {
    uint64_t blocks[2] = {};
    for (uint64_t digit = 0, rest = i; digit < 8; ++digit, rest /= 26) blocks[0] |= ('a' + rest % 26) << 8 * digit;
    const uint64_t between = (from ^ fold(blocks[0] * kMul) * kMul) * kMul;
    blocks[1] = fold((to * kMulInverse ^ between) * kMulInverse) * kMulInverse;
    const std::string text(reinterpret_cast<const char*>(blocks), sizeof blocks);
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '#' && c <= '~' && c != '\\'; }))
      texts.push_back(text);
  }
  return texts;
}

// In a hash table such keys take a minute for a body of 4 MB.
TEST(JsonValue, KeysOfOneHashAreNoAttack) {
  constexpr uint64_t kMiddle = 1, kEnd = 2;
  const auto fronts = paths(kSeed ^ 32 * kMul, kMiddle, 200), backs = paths(kMiddle, kEnd, 200);
  ASSERT_EQ(std::hash<std::string>()(fronts[0] + backs[1]), std::hash<std::string>()(fronts[2] + backs[3]));
  std::string text = "{";
  for (const std::string& front : fronts)
    for (const std::string& back : backs) text += "\"" + front + back + "\":0,";
  text.back() = '}';
  const std::clock_t start = std::clock();
  EXPECT_EQ(parse_json(text).members.size(), 40'000u);
  EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC);
}
#endif

}  // namespace
}  // namespace qwen
