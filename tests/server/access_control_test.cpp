// Who may call what: scopes, rates, what is open, and what an answer says.
#include "server/access/access_control.h"

#include <gtest/gtest.h>

#include "server/access/cors.h"
#include "server/access/trusted_proxies.h"
#include "server/http/routes.h"

namespace qwen {
namespace {

AccessSettings settings(ApiKeys keys) { return {.keys = std::move(keys)}; }

RequestHead with(Headers headers) {
  RequestHead head{.method = "POST", .path = "/x"};
  head.headers = std::move(headers);
  return head;
}
RequestHead bearer(const std::string& key) { return with({{"Authorization", "Bearer " + key}}); }

class AccessControlTest : public testing::Test {
 protected:
  void keys(ApiKeys keys) { use(settings(std::move(keys))); }
  void use(const AccessSettings& settings) { control_.emplace(settings, std::make_shared<ProcessRateStore>()); }
  // 0: let in.
  int status(const RequestHead& head, Access access = Access::kUser) {
    const auto verdict = control_->judge(head, access);
    return verdict.refused ? verdict.refused->status : 0;
  }

  std::optional<AccessControl> control_;
};

TEST_F(AccessControlTest, WithoutKeysEverybodyMayEverything) {
  keys({});
  for (const Access access : {Access::kAdmin, Access::kUser, Access::kMetrics, Access::kPage, Access::kOpen})
    EXPECT_EQ(status(with({}), access), 0);
  EXPECT_TRUE(control_->open());
}

TEST_F(AccessControlTest, WithKeysOnlyTheirHoldersMay) {
  keys({{"a", {.key = "alpha"}}, {"b", {.key = "sha256:" + sha256_hex("beta")}}});
  EXPECT_EQ(status(bearer("alpha")), 0);
  EXPECT_EQ(status(bearer("beta")), 0);
  EXPECT_EQ(status(with({{"X-API-Key", "beta"}})), 0);
  EXPECT_EQ(status(with({{"authorization", "bearer   alpha "}})), 0);
  EXPECT_EQ(status(with({{"Authorization", "Basic eDp5"}, {"x-api-key", "alpha"}})), 0);
  EXPECT_EQ(control_->judge(bearer("beta"), Access::kUser).key_name, "b");
  EXPECT_FALSE(control_->open());
}

// Missing, malformed, unknown and hashed-as-plain: one answer.
TEST_F(AccessControlTest, WhateverIsNoKeyIsTheSame401) {
  keys({{"a", {.key = "alpha"}}, {"b", {.key = "sha256:" + sha256_hex("beta")}}});
  std::string body;
  for (const RequestHead& head :
       {with({}), bearer(""), bearer("alph"), bearer("alphaa"), bearer("ALPHA"), with({{"Authorization", "alpha"}}),
        with({{"Authorization", "Bearer"}}), with({{"Authorization", "Bearer-alpha"}}),
        with({{"Authorization", "Basic alpha"}}), bearer(std::string(10'000, 'x')), bearer(std::string("alpha\0", 6)),
        bearer("sha256:" + sha256_hex("beta")), with({{"x-api-key", ""}})}) {
    const auto verdict = control_->judge(head, Access::kUser);
    ASSERT_TRUE(verdict.refused);
    EXPECT_EQ(verdict.refused->status, 401);
    const std::string same = error_json(*verdict.refused);
    if (body.empty()) body = same;
    EXPECT_EQ(same, body);
    EXPECT_TRUE(verdict.key_name.empty());
    EXPECT_TRUE(verdict.headers.empty());
  }
  EXPECT_NE(body.find("invalid_api_key"), std::string::npos);
  EXPECT_EQ(status(with({{"Authorization", "Bearer alpha"}, {"Authorization", "Bearer alpha"}})), 400);
  EXPECT_EQ(status(with({{"X-Api-Key", "alpha"}, {"x-api-key", "beta"}})), 400);
}

TEST_F(AccessControlTest, WhoHasUsedUpHisRateMayStillEndWhatHeBegan) {
  AccessSettings limited = settings({{"a", {.key = "alpha"}},
                                     {"m", {.key = "mu", .scopes = {false, true, false}}},
                                     {"r", {.key = "rho", .scopes = {false, false, true}}}});
  limited.requests_per_minute = 1;
  use(limited);
  EXPECT_EQ(status(bearer("alpha")), 0);
  EXPECT_EQ(status(bearer("alpha")), 429);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status(bearer("alpha"), Access::kControl), 0);
  EXPECT_EQ(status(bearer("mu"), Access::kControl), 403);
  EXPECT_FALSE(control_->judge(bearer("alpha"), Access::kControl).admin);
  EXPECT_TRUE(control_->judge(bearer("rho"), Access::kControl).admin);
  EXPECT_EQ(status(with({}), Access::kControl), 401);
}

TEST_F(AccessControlTest, EachScopeOpensItsRoutes) {
  keys({{"generate", {.key = "g", .scopes = {true, false, false}}},
        {"metrics", {.key = "m", .scopes = {false, true, false}}},
        {"admin", {.key = "a", .scopes = {false, false, true}}},
        {"usual", {.key = "u"}}});
  const auto row = [&](const char* key) {
    std::vector<int> statuses;
    for (const Access access : {Access::kUser, Access::kMetrics, Access::kAdmin, Access::kPage, Access::kOpen})
      statuses.push_back(status(bearer(key), access));
    return statuses;
  };
  EXPECT_EQ(row("g"), (std::vector<int>{0, 403, 403, 0, 0}));
  EXPECT_EQ(row("m"), (std::vector<int>{403, 0, 403, 0, 0}));
  EXPECT_EQ(row("a"), (std::vector<int>{0, 0, 0, 0, 0}));
  EXPECT_EQ(row("u"), (std::vector<int>{0, 0, 403, 0, 0}));
  EXPECT_EQ(row("nobody's"), (std::vector<int>{401, 401, 401, 0, 0}));
  EXPECT_EQ(control_->judge(bearer("m"), Access::kUser).refused->code, "insufficient_scope");
  EXPECT_EQ(control_->judge(bearer("m"), Access::kUser).key_name, "metrics") << "for the access log";
}

TEST_F(AccessControlTest, WhatIsOpenIsConfigured) {
  AccessSettings some = settings({{"a", {.key = "alpha"}}});
  some.page_open = false;
  some.metrics_open = true;
  use(some);
  EXPECT_EQ(status(with({}), Access::kPage), 401);
  EXPECT_EQ(status(with({}), Access::kMetrics), 0);
  EXPECT_EQ(status(with({}), Access::kOpen), 0);
}

TEST_F(AccessControlTest, ARouteThatSaysNothingIsForAdministrators) {
  EXPECT_EQ(Route{}.access, Access::kAdmin);
  RouteTable routes;
  routes.add({.method = "GET", .path = "/new"});
  keys({{"a", {.key = "alpha"}}});
  RequestHead head = bearer("alpha");
  head.method = "GET";
  head.path = "/new";
  const Admission admission = admit(head, {routes, &*control_});
  ASSERT_TRUE(admission.answer);
  EXPECT_EQ(admission.answer->status, 403);
}

TEST_F(AccessControlTest, KeysChangeWhileItRuns) {
  keys({{"a", {.key = "alpha"}}});
  EXPECT_FALSE(control_->set(settings({{"b", {.key = "beta"}}})));
  EXPECT_EQ(status(bearer("alpha")), 401);
  EXPECT_EQ(status(bearer("beta")), 0);
  EXPECT_TRUE(control_->set(settings({}))) << "a list that was emptied opens nothing";
  EXPECT_EQ(status(bearer("beta")), 401);
  EXPECT_EQ(status(with({})), 401);
  EXPECT_TRUE(control_->set(settings({})));
  EXPECT_FALSE(control_->set(settings({{"b", {.key = "beta"}}})));
  EXPECT_EQ(status(bearer("beta")), 0);
  keys({});
  EXPECT_FALSE(control_->set(settings({}))) << "open it was";
  EXPECT_EQ(status(with({})), 0);
  EXPECT_FALSE(control_->set(settings({{"b", {.key = "beta"}}})));
  EXPECT_EQ(status(with({})), 401);
}

std::string header(const AccessControl::Verdict& verdict, std::string_view name) {
  return std::string(find_header(verdict.headers, name).value_or("-"));
}

TEST_F(AccessControlTest, RequestsHaveARateByKey) {
  AccessSettings some = settings({{"a", {.key = "alpha"}},
                                  {"b", {.key = "beta", .requests_per_minute = 1}},
                                  {"free", {.key = "free", .requests_per_minute = 0}}});
  some.requests_per_minute = 3;
  use(some);
  for (const char* left : {"2", "1", "0"}) {
    const auto verdict = control_->judge(bearer("alpha"), Access::kUser);
    EXPECT_FALSE(verdict.refused);
    EXPECT_EQ(header(verdict, "x-ratelimit-limit-requests"), "3");
    EXPECT_EQ(header(verdict, "x-ratelimit-remaining-requests"), left);
  }
  const auto verdict = control_->judge(bearer("alpha"), Access::kUser);
  ASSERT_TRUE(verdict.refused);
  EXPECT_EQ(verdict.refused->status, 429);
  EXPECT_EQ(verdict.refused->code, "rate_limit_exceeded");
  EXPECT_EQ(verdict.refused->retry_after_seconds, 20);
  EXPECT_EQ(header(verdict, "x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(header(verdict, "x-ratelimit-reset-requests"), "1m0s");
  EXPECT_EQ(status(bearer("alpha"), Access::kMetrics), 0) << "figures are never rationed";
  EXPECT_EQ(status(bearer("beta")), 0) << "of its own";
  EXPECT_EQ(status(bearer("beta")), 429);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(status(bearer("free")), 0);
  EXPECT_EQ(status(bearer("wrong")), 401) << "costs nobody anything";
}

TEST_F(AccessControlTest, TokensAreChargedAfterwards) {
  AccessSettings some = settings({{"a", {.key = "alpha"}}});
  some.tokens_per_minute = 600;
  use(some);
  const auto verdict = control_->judge(bearer("alpha"), Access::kUser);
  ASSERT_TRUE(verdict.account);
  EXPECT_EQ(header(verdict, "x-ratelimit-remaining-tokens"), "600");
  verdict.account->charge(599);
  EXPECT_EQ(status(bearer("alpha")), 0) << "there is one left";
  verdict.account->charge(101);
  const auto refused = control_->judge(bearer("alpha"), Access::kUser);
  ASSERT_TRUE(refused.refused);
  EXPECT_EQ(refused.refused->status, 429);
  EXPECT_NEAR(refused.refused->retry_after_seconds, 10, 1) << "overdrawn by 100, ten a second come";
  EXPECT_EQ(header(refused, "x-ratelimit-remaining-tokens"), "0");
  verdict.account->charge(1'000'000);
  EXPECT_EQ(control_->judge(bearer("alpha"), Access::kUser).refused->retry_after_seconds, 60) << "what clients heed";
}

TEST(Cors, NobodyUnlessConfigured) {
  const Headers request = {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}};
  EXPECT_TRUE(Cors().headers(request).empty());
  EXPECT_TRUE(Cors().preflight(request, "POST").empty());
  const Cors some({"https://a.example", "http://localhost:3000"});
  EXPECT_EQ(find_header(some.headers(request), "access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(find_header(some.headers(request), "vary"), "Origin");
  EXPECT_EQ(find_header(some.preflight(request, "POST, OPTIONS"), "access-control-allow-methods"), "POST, OPTIONS");
  for (const char* other : {"https://b.example", "null", "http://a.example", "https://a.example.evil", "*", ""}) {
    const Headers foreign = {{"Origin", other}, {"Access-Control-Request-Method", "POST"}};
    EXPECT_FALSE(find_header(some.headers(foreign), "access-control-allow-origin")) << other;
    EXPECT_TRUE(find_header(some.headers(foreign), "vary"));
    EXPECT_TRUE(some.preflight(foreign, "POST").empty());
  }
  const Cors all({"https://a.example", "*"});
  EXPECT_EQ(find_header(all.headers({{"Origin", "null"}}), "access-control-allow-origin"), "*");
  for (const Cors& any : {some, all})
    EXPECT_FALSE(find_header(any.headers(request), "access-control-allow-credentials"));
}

TEST(Cors, WhatAnOriginIs) {
  for (const char* good : {"*", "https://a.example", "http://localhost:3000", "http://[::1]:8000"})
    EXPECT_TRUE(is_origin(good)) << good;
  for (const char* bad : {"", "a.example", "https://", "https://a.example/", "https://A.example", "ftp://a", "null"})
    EXPECT_FALSE(is_origin(bad)) << bad;
}

TEST(TrustedProxies, SayWhoTheClientIs) {
  const TrustedProxies some({"172.20.0.0/16", "10.0.0.1", "fd00::/8"});
  const auto client = [&](const char* peer, const char* forwarded, const char* real = nullptr) {
    Headers headers = {{"X-Forwarded-For", forwarded}};
    if (real != nullptr) headers.push_back({"X-Real-IP", real});
    return some.client(peer, headers);
  };
  EXPECT_EQ(client("172.20.3.4", "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client("172.20.3.4", "6.6.6.6, 203.0.113.9"), "203.0.113.9") << "what the client says itself is left";
  EXPECT_EQ(client("172.20.3.4", "203.0.113.9, 10.0.0.1"), "203.0.113.9") << "a chain of proxies";
  EXPECT_EQ(client("fd12::1", "2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(client("172.20.3.4", "nonsense\n, x", "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client("172.20.3.4", "", "<script>"), "172.20.3.4");
  EXPECT_EQ(client("172.21.0.1", "203.0.113.9", "203.0.113.9"), "172.21.0.1") << "no proxy of ours";
  EXPECT_EQ(client("::ffff:172.20.0.1", "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(TrustedProxies().client("127.0.0.1", {{"X-Real-IP", "1.2.3.4"}}), "127.0.0.1");
}

TEST(TrustedProxies, WhatANetworkIs) {
  for (const char* good : {"10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "0.0.0.0/0"}) EXPECT_TRUE(is_network(good));
  for (const char* bad : {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "proxy", "1.2.3.4/8x"})
    EXPECT_FALSE(is_network(bad)) << bad;
}

}  // namespace
}  // namespace qwen
