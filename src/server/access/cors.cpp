#include "server/access/cors.h"

#include <algorithm>

namespace qwen {
namespace {

constexpr std::string_view kEverybody = "*";
constexpr const char* kExposed =
    "X-Request-Id, Retry-After, retry-after-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
constexpr const char* kPreflightSeconds = "600";

}  // namespace

bool is_origin(std::string_view text) {
  if (text == kEverybody) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.substr(0, scheme.size()) != scheme) continue;
    const std::string_view host = text.substr(scheme.size());
    return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '[' ||
             c == ']';
    });
  }
  return false;
}

Cors::Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {
  if (std::find(origins_.begin(), origins_.end(), kEverybody) != origins_.end()) origins_ = {std::string(kEverybody)};
}

const std::string* Cors::allowed(const Headers& request) const {
  const auto origin = find_header(request, "origin");
  if (!origin) return nullptr;
  const auto found = std::find_if(origins_.begin(), origins_.end(),
                                  [&](const std::string& one) { return one == kEverybody || iequals(one, *origin); });
  return found == origins_.end() ? nullptr : &*found;
}

Headers Cors::headers(const Headers& request) const {
  if (origins_.empty()) return {};
  Headers result;
  // A cache between must not hand one origin's answer to another.
  if (origins_.front() != kEverybody) result.push_back({"Vary", "Origin"});
  if (const std::string* origin = allowed(request)) {
    result.push_back({"Access-Control-Allow-Origin", *origin});
    result.push_back({"Access-Control-Expose-Headers", kExposed});
  }
  return result;
}

Headers Cors::preflight(const Headers& request, std::string_view methods) const {
  if (allowed(request) == nullptr || !find_header(request, "access-control-request-method")) return {};
  // The asterisk stands for everything but Authorization: libraries send headers of their own.
  return {{"Access-Control-Allow-Methods", std::string(methods)},
          {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key, X-Request-Id, *"},
          {"Access-Control-Max-Age", kPreflightSeconds}};
}

}  // namespace qwen
