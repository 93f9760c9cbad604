// The response cache's parts one by one: bounds of the memory, the envelope of an answer, the breaker, Redis' address,
// what a request says of the cache.
#include <gtest/gtest.h>

#include <limits>

#include "base/hash.h"
#include "server/cache/cache_key.h"
#include "server/cache/cache_use.h"
#include "server/cache/cached_answer.h"
#include "server/cache/circuit_breaker.h"
#include "server/cache/flight_table.h"
#include "server/cache/memory_store.h"
#include "server/cache/redis_address.h"
#include "server/http/request.h"
#include "server/service_config.h"
#include "support/expect_error.h"

namespace qwen {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

CachedAnswer answer_of(size_t tokens) {
  CachedAnswer answer;
  for (size_t i = 0; i < tokens; ++i) answer.tokens.push_back({static_cast<TokenId>(i % 100), -0.5f});
  answer.prompt_tokens = 9;
  return answer;
}
CachedAnswerPtr shared(size_t tokens) { return std::make_shared<const CachedAnswer>(answer_of(tokens)); }

TEST(MemoryStore, ForgetsTheLeastRecentlyUsed) {
  MemoryStore store({.bytes = 1 << 20, .entries = 3, .ttl = seconds(60)});
  for (const char* key : {"a", "b", "c"}) store.put(key, shared(1));
  EXPECT_TRUE(store.get("a"));
  store.put("d", shared(1));
  EXPECT_TRUE(store.get("a"));
  EXPECT_FALSE(store.get("b"));
  EXPECT_EQ(store.stats().entries, 3u);
  EXPECT_EQ(store.stats().evictions, 1u);
}

TEST(MemoryStore, KeepsToItsBytes) {
  constexpr size_t kBytes = 100'000;
  MemoryStore store({.bytes = kBytes, .entries = 1000, .ttl = seconds(60)});
  for (int i = 0; i < 200; ++i) {
    store.put(std::to_string(i), shared(static_cast<size_t>(10 + i * 5)));
    EXPECT_LE(store.stats().bytes, kBytes);
  }
  EXPECT_TRUE(store.get("199"));
  store.put("199", shared(1));  // takes the place of the other
  const size_t before = store.stats().entries;
  store.put("too large", shared(kBytes / 8));
  EXPECT_FALSE(store.get("too large"));
  EXPECT_EQ(store.stats().entries, before);
  for (int i = 0; i < 1000; ++i) store.put("x" + std::to_string(i), shared(kBytes / 9));
  EXPECT_EQ(store.stats().entries, 1u);
}

TEST(MemoryStore, ForgetsAfterItsTime) {
  MemoryStore store({.bytes = 1 << 20, .entries = 10, .ttl = seconds(60)});
  const auto now = MemoryStore::Clock::now();
  store.put("a", shared(1), now);
  EXPECT_TRUE(store.get("a", now + seconds(59)));
  EXPECT_FALSE(store.get("a", now + seconds(60)));
  EXPECT_EQ(store.stats().entries, 0u);
  EXPECT_EQ(store.stats().bytes, 0u);
  EXPECT_EQ(store.stats().evictions, 0u);
}

TEST(CachedAnswer, ComesBackAsItWas) {
  for (const bool with_token : {false, true})
    for (const FinishReason reason : {FinishReason::kStop, FinishReason::kLength})
      for (const ThinkingEnd end : {ThinkingEnd::kNone, ThinkingEnd::kBudget, ThinkingEnd::kLoop}) {
        CachedAnswer answer = answer_of(17);
        answer.finish_reason = reason;
        answer.end_has_token = with_token;
        answer.thinking_end = end;
        const CachedAnswerPtr decoded = decode_answer(encode_answer(answer, "key"), "key", 100, 9);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(*decoded, answer);
        EXPECT_EQ(answer.num_events(), with_token ? 17u : 18u);
        EXPECT_EQ(answer.event(answer.num_events() - 1).finish_reason, reason);
        EXPECT_EQ(answer.event(15).finish_reason, FinishReason::kNone);
      }
}

TEST(CachedAnswer, IsBelievedOnlyWhereAllFits) {
  const std::string good = encode_answer(answer_of(5), "key");
  EXPECT_TRUE(decode_answer(good, "key", 5, 9));
  EXPECT_FALSE(decode_answer(good, "kez", 5, 9)) << "another key's";
  EXPECT_FALSE(decode_answer(good, "key", 4, 9)) << "an id beyond the vocabulary";
  EXPECT_FALSE(decode_answer(good, "key", 5, 8)) << "another prompt";
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode_answer(good.substr(0, size), "key", 5, 9));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_FALSE(decode_answer(changed, "key", 5, 9)) << i;
  }
  EXPECT_FALSE(decode_answer(good + "x", "key", 5, 9));
  EXPECT_FALSE(decode_answer(std::string(2 << 20, 'x'), "key", 5, 9));
}

// As somebody would write it who knows the format: the digest fits, the content does not.
TEST(CachedAnswer, AForgedEnvelopeIsNoAnswer) {
  const auto signed_again = [](std::string bytes, size_t at, std::string_view change) {
    bytes.replace(at, change.size(), change);
    bytes.resize(bytes.size() - 8);
    const uint64_t digest = xxh64(bytes);
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(digest >> shift));
    return bytes;
  };
  const std::string good = encode_answer(answer_of(2), "key");
  EXPECT_TRUE(decode_answer(signed_again(good, 0, ""), "key", 100, 9));
  const size_t count = 8 + 4 + 3 + 4 * 4;
  using namespace std::string_view_literals;
  EXPECT_FALSE(decode_answer(signed_again(good, count, "\xff\xff\xff\xff"sv), "key", 100, 9));
  EXPECT_FALSE(decode_answer(signed_again(good, count, "\0\0\0\0"sv), "key", 100, 9));
  EXPECT_FALSE(decode_answer(signed_again(good, count + 4, "\xff\xff\xff\xff"sv), "key", 100, 9)) << "id -1";
  EXPECT_FALSE(decode_answer(signed_again(good, count + 8, "\0\0\xc0\x7f"sv), "key", 100, 9)) << "NaN";
  EXPECT_FALSE(decode_answer(signed_again(good, 8 + 4 + 3, "\2\0\0\0"sv), "key", 100, 9)) << "finish reason";
  EXPECT_FALSE(decode_answer(signed_again(good, 8 + 4 + 3 + 8, "\3\0\0\0"sv), "key", 100, 9)) << "a deadline's";
}

TEST(CacheKey, IsCanonicalAndComplete) {
  const std::vector<TokenId> prompt = {1, 2, 3};
  const std::vector<std::string> stop = {"ab", "c"}, other_stop = {"a", "bc"};
  SamplingParams sampling;
  sampling.temperature = 0.5f;
  sampling.logit_bias = {{2, 1.0f}, {1, 2.0f}};
  ThinkingRequest thinking;
  const CacheKeyFields fields{.fingerprint = "f", .salt = "", .prompt = prompt, .sampling = sampling, .stop = stop};
  const std::string key = cache_key(fields);
  EXPECT_EQ(key.size(), 64u);
  SamplingParams reordered = sampling;
  reordered.logit_bias = {{1, 2.0f}, {2, 1.0f}};
  reordered.presence_penalty = -0.0f;
  CacheKeyFields same{.fingerprint = "f", .salt = "", .prompt = prompt, .sampling = reordered, .stop = stop};
  EXPECT_EQ(cache_key(same), key);

  std::vector<std::string> keys = {key};
  const auto add = [&](const auto& change) {
    SamplingParams changed_sampling = sampling;
    CacheKeyFields changed{
        .fingerprint = "f", .salt = "", .prompt = prompt, .sampling = changed_sampling, .stop = stop};
    change(changed, changed_sampling);
    keys.push_back(cache_key(changed));
  };
  add([](auto& f, auto&) { f.fingerprint = "g"; });
  add([](auto& f, auto&) { f.salt = "s"; });
  add([&](auto& f, auto&) { f.prompt = std::span(prompt).first(2); });
  add([&](auto& f, auto&) { f.stop = other_stop; });
  add([](auto& f, auto&) { f.seed_chosen = false; });
  add([](auto& f, auto&) { f.seed_chosen = false, f.sample = 1; });
  add([](auto& f, auto&) { f.starts_in_thought = true; });
  add([](auto& f, auto&) { f.separate_thought = false; });
  add([&](auto& f, auto&) { f.thinking = &thinking; });
  add([](auto& f, auto&) { f.plan.max_tokens = 2; });
  add([](auto& f, auto&) { f.plan.max_answer_tokens = 2; });
  add([](auto&, auto& s) { s.temperature = 0.6f; });
  add([](auto&, auto& s) { s.temperature = 0; });
  add([](auto&, auto& s) { s.top_k = 2; });
  add([](auto&, auto& s) { s.top_p = 0.5f; });
  add([](auto&, auto& s) { s.min_p = 0.5f; });
  add([](auto&, auto& s) { s.seed = 1; });
  add([](auto&, auto& s) { s.repetition_penalty = 2; });
  add([](auto&, auto& s) { s.presence_penalty = 1; });
  add([](auto&, auto& s) { s.frequency_penalty = 1; });
  add([](auto&, auto& s) { s.min_tokens = 1; });
  add([](auto&, auto& s) { s.ignore_eos = true; });
  add([](auto&, auto& s) { s.stop_token_ids = {7}; });
  add([](auto&, auto& s) { s.logit_bias[0].second = 3; });
  thinking.budget = 5;
  add([&](auto& f, auto&) { f.thinking = &thinking; });
  thinking.loop_guard = true;
  add([&](auto& f, auto&) { f.thinking = &thinking; });
  thinking.ensure_answer = false;
  add([&](auto& f, auto&) { f.thinking = &thinking; });
  add([&](auto& f, auto&) { f.thinking = &thinking, f.plan.answer_reserve = 3; });
  for (size_t i = 0; i < keys.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << ' ' << j;
}

TEST(FlightTable, EqualRequestsFindTheComputationOrItsAnswer) {
  FlightTable table;
  const auto now = Flight::Clock::now();
  const auto reader = [] { return std::make_shared<const std::function<void()>>(); };
  const auto begin = [&](uint64_t seed) {
    return [seed, now] { return std::make_shared<Flight>(seed, now + seconds(10), 3); };
  };
  const auto nothing = [] { return CachedAnswerPtr(); };
  const auto stored = table.enter(
      "a", {.reader = reader()}, [] { return shared(1); }, begin(1));
  EXPECT_TRUE(stored.answer && !stored.flight);
  const auto first_reader = reader();
  const auto first = table.enter("a", {.reader = first_reader, .deadline = now + seconds(10)}, nothing, begin(1));
  EXPECT_TRUE(first.leads);
  EXPECT_EQ(table.join("a", {.reader = reader()}), first.flight);
  EXPECT_FALSE(table.join("b", {.reader = reader()}));
  EXPECT_FALSE(table.join("a", {.reader = reader(), .deadline = now + seconds(5)})) << "it may last longer";
  EXPECT_TRUE(table.join("a", {.reader = reader(), .deadline = now + milliseconds(9500)}));
  EXPECT_FALSE(table.join("a", {.reader = reader(), .seed = 2}));
  const auto apart = table.enter("a", {.reader = reader(), .seed = 2}, nothing, begin(2));
  EXPECT_TRUE(apart.leads);
  EXPECT_EQ(table.join("a", {.reader = reader()}), first.flight) << "the one apart is nobody else's";
  EXPECT_EQ(table.size(), 1u);
  table.remove("a", apart.flight);
  EXPECT_EQ(table.size(), 1u);
  table.remove("a", first.flight);
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlightTable, AFlightThatEverybodyLeftIsNotJoined) {
  FlightTable table;
  const auto reader = std::make_shared<const std::function<void()>>();
  const auto nothing = [] { return CachedAnswerPtr(); };
  const auto begin = [] { return std::make_shared<Flight>(1, std::nullopt, 3); };
  const auto first = table.enter("a", {.reader = reader}, nothing, begin);
  EXPECT_TRUE(first.flight->leave(reader));
  EXPECT_FALSE(table.join("a", {.reader = reader}));
  const auto second = table.enter("a", {.reader = reader}, nothing, begin);
  EXPECT_TRUE(second.leads);
  table.remove("a", first.flight);
  EXPECT_EQ(table.join("a", {.reader = reader}), second.flight);
}

TEST(CircuitBreaker, OpensAfterFailuresInARow) {
  CircuitBreaker breaker({.failures = 3});
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(breaker.failure());
    EXPECT_FALSE(breaker.failure());
    breaker.success();
  }
  EXPECT_FALSE(breaker.failure());
  EXPECT_FALSE(breaker.failure());
  EXPECT_TRUE(breaker.failure());
  EXPECT_TRUE(breaker.open());
  EXPECT_FALSE(breaker.failure()) << "said once";
  EXPECT_TRUE(breaker.close());
  EXPECT_FALSE(breaker.open());
  EXPECT_TRUE(breaker.trip());
  EXPECT_FALSE(breaker.trip());
}

TEST(CircuitBreaker, PausesGrowUntilARequestWasAnswered) {
  CircuitBreaker breaker({.failures = 1, .first_pause = milliseconds(100), .longest_pause = milliseconds(1000)});
  breaker.failure();
  for (const int longest : {100, 200, 400, 800, 1000, 1000}) {
    const auto pause = breaker.next_pause();
    EXPECT_GE(pause.count(), longest / 2);
    EXPECT_LE(pause.count(), longest);
  }
  breaker.close();
  EXPECT_GE(breaker.next_pause().count(), 500) << "a trial alone proves little";
  breaker.success();
  EXPECT_LE(breaker.next_pause().count(), 100);
}

TEST(RedisAddress, AsUrl) {
  EXPECT_EQ(parse_redis_url("redis://redis").host, "redis");
  EXPECT_EQ(parse_redis_url("redis://redis").port, 6379);
  const RedisOptions full = parse_redis_url("redis://me:p%40ss%3A@10.0.0.1:7000/3");
  EXPECT_EQ(full.user, "me");
  EXPECT_EQ(full.password, "p@ss:");
  EXPECT_EQ(full.host, "10.0.0.1");
  EXPECT_EQ(full.port, 7000);
  EXPECT_EQ(full.database, 3);
  EXPECT_EQ(redis_place(full), "10.0.0.1:7000");
  EXPECT_EQ(parse_redis_url("redis://:secret@[::1]:7000").host, "::1");
  EXPECT_EQ(redis_place(parse_redis_url("redis://[::1]")), "[::1]:6379");
  EXPECT_EQ(parse_redis_url("unix:///run/redis.sock?db=2").socket_path, "/run/redis.sock");
  EXPECT_EQ(parse_redis_url("unix://:pw@/run/redis.sock?db=2").database, 2);
  EXPECT_EQ(masked_redis_url("redis://me:p%40ss@host/1"), "redis://me:****@host/1");
  EXPECT_EQ(masked_redis_url("redis://host/1"), "redis://host/1");
  EXPECT_EQ(masked_redis_url("what:ever@host"), "****");
  for (const char* url : {"", "redis:6379", "http://redis", "redis://", "redis://h:0", "redis://h:x", "redis://h/x",
                          "redis://h:1:2", "redis://:%zz@h", "unix://run/redis", "unix:///a?x=1", "redis://a b"})
    EXPECT_TRUE(fails_with([&] { parse_redis_url(url); }, ErrorCode::kConfig, "write redis://")) << url;
  EXPECT_TRUE(fails_with([&] { parse_redis_url("rediss://h"); }, ErrorCode::kConfig, "TLS"));
  try {
    parse_redis_url("redis://:geheim@h:99999");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("geheim"), std::string::npos);
  }
}

TEST(CacheUse, AsTheClientSays) {
  ServiceConfig config;
  const auto use = [&](Headers headers) {
    Request request;
    request.head.headers = std::move(headers);
    return cache_use(request, true, config);
  };
  EXPECT_FALSE(use({}).enabled);
  config.cache_enable = true;
  EXPECT_TRUE(use({}).enabled && use({}).look_up && use({}).store);
  EXPECT_FALSE(use({{"cache-control", "max-age=5, No-Store"}}).store);
  EXPECT_FALSE(use({{"Cache-Control", "no-store"}}).look_up);
  for (const char* fresh : {"no-cache", " max-age=0 ", "private,no-cache"}) {
    EXPECT_FALSE(use({{"Cache-Control", fresh}}).look_up) << fresh;
    EXPECT_TRUE(use({{"Cache-Control", fresh}}).store) << fresh;
  }
  EXPECT_TRUE(use({{"Cache-Control", "x-no-store,,="}}).store);
}

TEST(CacheUse, KeysHaveAnswersOfTheirOwn) {
  ServiceConfig config;
  config.cache_enable = true;
  const auto salt = [&](Headers headers) {
    Request request;
    request.head.headers = std::move(headers);
    return cache_use(request, true, config).salt;
  };
  EXPECT_EQ(salt({}), "");
  EXPECT_NE(salt({{"Authorization", "Bearer a"}}), salt({{"Authorization", "Bearer b"}}));
  EXPECT_NE(salt({{"X-API-Key", "a"}}), salt({{"X-API-Key", "b"}}));
  EXPECT_EQ(salt({{"authorization", "Bearer a"}}), salt({{"Authorization", "Bearer a"}}));
  EXPECT_EQ(salt({{"Authorization", "Bearer a"}}).find("Bearer"), std::string::npos);
  config.cache_shared = true;
  EXPECT_EQ(salt({{"Authorization", "Bearer a"}}), salt({{"Authorization", "Bearer b"}}));
}

}  // namespace
}  // namespace qwen
