// The setting api_keys, in every spelling, and what is no key.
#include "server/config/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "server/config/config_file.h"
#include "server/config/value_text.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ApiKeysText, FlatAndAsADictionary) {
  const ApiKeys two = {{"a", {.key = "one"}}, {"b", {.key = "t:wo"}}};
  EXPECT_EQ(parse_api_keys("a:one,b:t:wo"), two);
  EXPECT_EQ(parse_api_keys("{'a': 'one', \"b\": \"t:wo\"}"), two);
  const ApiKeys full = parse_api_keys(
      "{p: {key: one, scopes: 'metrics, admin', requests_per_minute: 0, tokens_per_minute: 90}, q: {key: two}}");
  EXPECT_EQ(full.at("p").scopes, (Scopes{false, true, true}));
  EXPECT_EQ(full.at("p").requests_per_minute, 0);
  EXPECT_EQ(full.at("p").tokens_per_minute, 90);
  EXPECT_EQ(full.at("q").scopes, Scopes());
  EXPECT_EQ(full.at("q").requests_per_minute, std::nullopt);
}

TEST(ApiKeysText, IsReadAsItIsWritten) {
  const ApiKeys keys = parse_api_keys(
      "{a: {key: 'q\"uo\\te', scopes: generate}, b: {key: x, scopes: admin, tokens_per_minute: 5}, c: 'sha256:" +
      sha256_hex("k") + "'}");
  EXPECT_EQ(parse_api_keys(api_keys_text(keys)), keys);
  EXPECT_EQ(api_keys_text({}), "");
}

TEST(ApiKeysText, WhatIsNone) {
  for (const char* text :
       {"just-a-key", "a:", ":b", "a:one,", "a:one,a:two", "a b:one", "a.key:one", "a:t wo", "a:None", "a:sha256:12",
        "{a: {scopes: metrics}}", "{a: {key: one, scope: metrics}}", "{a: {key: one, scopes: write}}",
        "{a: {key: one, scopes: ''}}", "{a: {key: {key: one}}}", "{a: {key: one, requests_per_minute: -1}}",
        "{a: {key: one, tokens_per_minute: many}}", "{a: one, b: one}", "{a: ''}"}) {
    EXPECT_THROW(parse_api_keys(text), Disallowed) << text;
  }
  EXPECT_THROW(parse_api_keys("{a: one, b: 'sha256:" + sha256_hex("one") + "'}"), Disallowed) << "the same key twice";
}

TEST(ApiKeysText, AMistakeIsNamedWithoutTheKey) {
  const auto problem = [](const std::string& text) -> std::string {
    try {
      parse_api_keys(text);
    } catch (const Disallowed& disallowed) {
      return disallowed.allowed;
    }
    return "none";
  };
  EXPECT_THAT(problem("{a: {key: one, scopes: write}}"), HasSubstr("api_keys.a.scopes must be one of generate"));
  EXPECT_THAT(problem("{a: {key: one, rpm: 5}}"), HasSubstr("api_keys.a.rpm must be called key,"));
  EXPECT_THAT(problem("{a: {key: one, requests_per_minute: many}}"), HasSubstr("api_keys.a.requests_per_minute must"));
  const std::string printed = problem("a:one,b:sha256:" + sha256_hex("secret") + "  -");
  EXPECT_THAT(printed, HasSubstr("api_keys.b must be sha256: and exactly 64"));
  EXPECT_THAT(printed, HasSubstr("| cut -c1-64"));
  EXPECT_THAT(printed, Not(HasSubstr(sha256_hex("secret"))));
  EXPECT_THAT(problem("se-cret"), Not(HasSubstr("se-cret")));
}

TEST(ApiKeysFile, AMistakeIsNamedWithItsLine) {
  const auto refused = [](const std::string& text, std::string_view words) {
    return fails_with([&] { parse_config(text, "f.yaml"); }, ErrorCode::kConfig, words);
  };
  EXPECT_TRUE(refused("api_keys:\n  a:\n    key: one\n    scope: metrics\n", "f.yaml:4: \"api_keys.a.scope\" must be"));
  EXPECT_TRUE(refused("api_keys:\n  a:\n    key: one\n    scopes: write\n", "f.yaml:4:"));
  EXPECT_TRUE(refused("api_keys:\n  a:\n    scopes: metrics\n", "f.yaml:3: api_keys: a has no key"));
  EXPECT_TRUE(refused("api_keys:\n  a: one\n  b: one\n", "b has the key of another name"));
}

}  // namespace
}  // namespace qwen
