#include "server/access/access_control.h"

#include <algorithm>
#include <cmath>

namespace qwen {
namespace {

constexpr int kMaxRetrySeconds = 60;  // clients ignore more

bool allows(const Scopes& scopes, Access access) {
  if (scopes.admin) return true;
  const bool generates = access == Access::kUser || access == Access::kControl;
  return (generates && scopes.generate) || (access == Access::kMetrics && scopes.metrics);
}

struct Presented {
  std::string_view key;    // empty: none
  bool ambiguous = false;  // two of one header: which one another reader would take is a guess
};

// Authorization: Bearer KEY goes before X-API-Key: KEY; an Authorization of another kind is somebody else's.
Presented presented_key(const Headers& headers) {
  constexpr std::string_view kBearer = "Bearer";
  if (count_headers(headers, "authorization") > 1 || count_headers(headers, "x-api-key") > 1) return {{}, true};
  if (const auto value = find_header(headers, "authorization")) {
    const std::string_view scheme = value->substr(0, value->find(' '));
    if (iequals(scheme, kBearer)) return {trim_spaces(value->substr(scheme.size()))};
  }
  if (const auto value = find_header(headers, "x-api-key")) return {trim_spaces(*value)};
  return {};
}

ApiError no_valid_key() {
  return {.status = 401,
          .code = "invalid_api_key",
          .message = "a valid API key is needed: send the header Authorization: Bearer KEY"};
}

int retry_seconds(double wait) { return std::clamp(static_cast<int>(std::ceil(wait)), 1, kMaxRetrySeconds); }

// As OpenAI spells a duration: 250ms, 12s, 6m0s.
std::string duration_text(double seconds) {
  if (seconds <= 0) return "0s";
  if (seconds < 1) return str(static_cast<int>(std::ceil(seconds * 1000)), "ms");
  const auto whole = static_cast<long>(std::ceil(seconds));
  return whole < 60 ? str(whole, "s") : str(whole / 60, "m", whole % 60, "s");
}

void add_level(Headers& headers, const char* of_what, double per_minute, const RateLevel& level) {
  headers.push_back({str("x-ratelimit-limit-", of_what), str(static_cast<long long>(per_minute))});
  headers.push_back(
      {str("x-ratelimit-remaining-", of_what), str(static_cast<long long>(std::floor(std::max(0.0, level.left))))});
  headers.push_back({str("x-ratelimit-reset-", of_what), duration_text(level.to_full)});
}

ApiError rate_exceeded(const char* of_what, double per_minute, const RateLevel& level) {
  const int seconds = retry_seconds(level.wait);
  return {.status = 429,
          .code = "rate_limit_exceeded",
          .message = str("the rate of this API key, ", static_cast<long long>(per_minute), ' ', of_what,
                         " a minute, is used up; try again in ", seconds, " s"),
          .retry_after_seconds = seconds};
}

}  // namespace

std::string_view scope_name(Access access) {
  switch (access) {
    case Access::kUser:
    case Access::kControl:
      return "generate";
    case Access::kMetrics:
      return "metrics";
    default:
      return "admin";
  }
}

struct AccessControl::Caller {
  std::string name;
  Scopes scopes;
  double requests_per_minute = 0;               // 0 = no limit
  std::shared_ptr<const TokenAccount> account;  // null: no limit
};

AccessControl::AccessControl(const AccessSettings& settings, std::shared_ptr<RateStore> rates)
    : rates_(std::move(rates)), rules_(make_rules(settings, settings.keys.empty() && !settings.keys_required)) {}

std::shared_ptr<const AccessControl::Rules> AccessControl::make_rules(const AccessSettings& settings, bool open) const {
  auto made = std::make_shared<Rules>();
  made->settings = settings;
  made->open = open;
  for (const auto& [name, key] : settings.keys) {
    const KeyDigest digest = digest_of_configured(key.key);
    if (find_digest(made->digests, digest) != kNoDigest)
      continue;  // two names of one key: the configuration does not allow it
    made->digests.push_back(digest);
    Caller caller{.name = name, .scopes = key.scopes};
    caller.requests_per_minute = key.requests_per_minute.value_or(settings.requests_per_minute);
    if (const int tokens = key.tokens_per_minute.value_or(settings.tokens_per_minute); tokens > 0)
      caller.account = std::make_shared<TokenAccount>(rates_, "tokens:" + name, tokens);
    made->callers.push_back(std::move(caller));
  }
  made->settings.keys.clear();  // digests are all that is needed from here on
  return made;
}

bool AccessControl::set(const AccessSettings& settings) {
  const std::lock_guard lock(mutex_);
  const bool locked_out = settings.keys.empty() && (!rules_->open || settings.keys_required);
  rules_ = make_rules(settings, settings.keys.empty() && !locked_out);
  return locked_out;
}

std::shared_ptr<const AccessControl::Rules> AccessControl::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

AccessControl::Verdict AccessControl::judge(const RequestHead& head, Access access) const {
  Verdict verdict;
  const auto refuse = [&](ApiError error) {
    verdict.refused = std::move(error);
    return std::move(verdict);
  };
  const std::shared_ptr<const Rules> rules = this->rules();
  if (rules->open || access == Access::kOpen || (access == Access::kPage && rules->settings.page_open) ||
      (access == Access::kMetrics && rules->settings.metrics_open))
    return verdict;
  const Presented presented = presented_key(head.headers);
  if (presented.ambiguous)
    return refuse({.status = 400, .code = "bad_request", .message = "more than one API key was sent"});
  const size_t place = find_digest(rules->digests, sha256(presented.key));
  if (place == kNoDigest || presented.key.empty()) return refuse(no_valid_key());
  const Caller& caller = rules->callers[place];
  verdict.key_name = caller.name;
  verdict.admin = caller.scopes.admin;
  if (!allows(caller.scopes, access))
    return refuse({.status = 403,
                   .code = "insufficient_scope",
                   .message = str("this API key lacks the scope ", scope_name(access))});
  if (access != Access::kUser) return verdict;
  const auto now = std::chrono::steady_clock::now();
  if (caller.account) {
    const RateLevel level = caller.account->level(now);
    add_level(verdict.headers, "tokens", caller.account->per_minute(), level);
    if (!level.enough) return refuse(rate_exceeded("tokens", caller.account->per_minute(), level));
  }
  if (caller.requests_per_minute > 0) {
    const RateLevel level = rates_->take("requests:" + caller.name, caller.requests_per_minute, 1, 1, now);
    add_level(verdict.headers, "requests", caller.requests_per_minute, level);
    if (!level.enough) return refuse(rate_exceeded("requests", caller.requests_per_minute, level));
  }
  verdict.account = caller.account;
  return verdict;
}

}  // namespace qwen
