// A request's line, for the guide's awk and sort, and as JSON.
#include "server/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen {
namespace {

AccessRecord record() {
  AccessRecord record{.method = "POST", .path = "/generate", .request_id = "req-1", .client = "::1"};
  record.status = 200;
  record.seconds = 0.25;
  record.bytes_out = 512;
  return record;
}

TEST(AccessLog, TheResponseTimeStandsLast) {
  EXPECT_EQ(access_line(record()), "POST /generate status 200 id req-1 client ::1 bytes 512 response_time 0.250000");
}

TEST(AccessLog, TokensStandWhereThereAreSome) {
  AccessRecord generated = record();
  generated.tokens = {9, 40};
  EXPECT_THAT(access_line(generated),
              testing::HasSubstr(" bytes 512 prompt_tokens 9 completion_tokens 40 response_time"));
  EXPECT_THAT(access_members(generated), testing::HasSubstr("\"prompt_tokens\":9,\"completion_tokens\":40"));
}

TEST(AccessLog, WhatCameFromTheCacheIsNotGenerated) {
  AccessRecord hit = record();
  hit.tokens = {.prompt = 0, .completion = 0, .cached = 49, .cache = "hit"};
  EXPECT_THAT(access_line(hit), testing::HasSubstr(" bytes 512 cache hit cache_tokens 49 response_time"));
  EXPECT_THAT(access_members(hit), testing::HasSubstr("\"bytes\":512,\"cache\":\"hit\",\"cache_tokens\":49,"));
  AccessRecord partial = record();
  partial.tokens = {.prompt = 9, .completion = 40, .cached = 8, .cache = "partial"};
  EXPECT_THAT(access_line(partial),
              testing::HasSubstr(" prompt_tokens 9 completion_tokens 40 cache partial cache_tokens 8 response_time"));
}

TEST(AccessLog, AnErrorHasItsCode) {
  AccessRecord failed = record();
  failed.status = 503;
  failed.code = "server_overloaded";
  EXPECT_THAT(access_line(failed), testing::HasSubstr(" status 503 server_overloaded id "));
}

// `sort -n` reads no exponents.
TEST(AccessLog, TimesArePlainNumbers) {
  for (const auto& [seconds, text] :
       {std::pair{0.0000123, "0.000012"}, {1e-9, "0.000000"}, {123456789.5, "123456789.500000"}}) {
    AccessRecord quick = record();
    quick.seconds = seconds;
    EXPECT_THAT(access_line(quick), testing::EndsWith(std::string(" response_time ") + text));
  }
}

TEST(AccessLog, JsonHasTheSame) {
  AccessRecord odd = record();
  odd.method = "A\"B\\";
  const auto json = nlohmann::json::parse("{" + access_members(odd) + "}");
  EXPECT_EQ(json, (nlohmann::json{{"msg", "access"},
                                  {"method", "A\"B\\"},
                                  {"route", "/generate"},
                                  {"status", 200},
                                  {"request_id", "req-1"},
                                  {"client", "::1"},
                                  {"bytes", 512},
                                  {"response_time", 0.25}}));
}

}  // namespace
}  // namespace qwen
