#include "server/request_metrics.h"

#include <algorithm>
#include <array>
#include <string>

namespace qwen {
namespace {

constexpr std::string_view kUnmatched = "unmatched";

std::string_view method_label(std::string_view method) {
  constexpr std::array<std::string_view, 7> kUsual = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
  return std::find(kUsual.begin(), kUsual.end(), method) == kUsual.end() ? "other" : method;
}

// Why a request was refused without being looked into; empty where it was not.
std::string_view rejection(const AccessRecord& record) {
  const int status = record.status;
  if (status == 401 || status == 403) return "auth";
  if (status == 413) return "too_large";
  if (status == 429) return "rate_limit";
  if (status != 503) return {};
  for (const std::string_view same : {"loading", "draining", "unhealthy"})
    if (record.code == same) return same;
  switch (record.shortage) {
    case Shortage::kQueue:
      return "queue_full";
    case Shortage::kConnections:
      return "too_many_connections";
    case Shortage::kMemory:
      return "memory";
    case Shortage::kNone:
      break;
  }
  return {};
}

bool slow_client(std::string_view code) { return code == kSlowClient || code == kWriteStall; }

}  // namespace

void RequestMetrics::declare(const RouteTable& routes) {
  for (const std::string_view reason : {"auth", "draining", "loading", "memory", "queue_full", "rate_limit",
                                        "too_large", "too_many_connections", "unhealthy"})
    metrics_.rejected.with({reason});
  for (const std::string_view status : {"400", "404"}) metrics_.http_requests.with({status, "GET", kUnmatched});
  for (const Route& route : routes.routes()) {
    if (route.traffic == Traffic::kProbe) continue;
    metrics_.http_request_duration.with({route.path});
    for (const std::string_view status : {"200", "400", "499", "500", "503"}) {
      metrics_.http_requests.with({status, route.method, route.path});
      if (route.traffic == Traffic::kApi) metrics_.requests.with({route.path, status});
    }
  }
}

void RequestMetrics::record(const AccessRecord& record) {
  if (record.traffic == Traffic::kProbe) return;
  const std::string status = std::to_string(record.status);
  const std::string_view route = record.path == "-" ? kUnmatched : std::string_view(record.path);
  metrics_.http_requests.with({status, method_label(record.method), route}).add();
  metrics_.http_request_duration.with({route}).observe(record.seconds);
  count_reason(record);
  if (record.traffic != Traffic::kApi) return;
  metrics_.requests.with({route, status}).add();
  const std::lock_guard lock(mutex_);
  if (record.status == kClientGone) {
    ++totals_.cancelled;
  } else if (record.status >= 400 || !record.code.empty()) {
    ++totals_.failed;
  } else {
    ++totals_.successful;
    totals_.successful_seconds += record.seconds;
  }
}

void RequestMetrics::count_reason(const AccessRecord& record) const {
  if (record.status == kClientGone)
    return (slow_client(record.code) ? metrics_.slow_client_aborts : metrics_.client_disconnects).add();
  if (const std::string_view reason = rejection(record); !reason.empty()) metrics_.rejected.with({reason}).add();
}

RequestTotals RequestMetrics::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace qwen
