// What counts as a request, as success, failure, cancelled; label values stay bounded.
#include "server/request_metrics.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "metrics_text.h"

namespace qwen::test {
namespace {

class RequestFigures : public testing::Test {
 protected:
  RequestFigures() {
    const auto handler = [](Request, ResponderPtr) {};
    routes_.add({"POST", "/generate", Access::kUser, handler, 1000});
    routes_.add({"GET", "/v1/models/*", Access::kUser, handler});
    routes_.add({"GET", "/", Access::kOpen, handler, 0, Traffic::kPage});
    routes_.add({"GET", "/health", Access::kOpen, handler, 0, Traffic::kProbe});
    figures_.declare(routes_);
  }
  void record(const std::string& method, const std::string& path, Traffic traffic, int status,
              const std::string& code = {}, double seconds = 1, Shortage shortage = Shortage::kNone) {
    AccessRecord record;
    record.method = method;
    record.path = path;
    record.traffic = traffic;
    record.status = status;
    record.code = code;
    record.seconds = seconds;
    record.shortage = shortage;
    figures_.record(record);
  }
  double read(const std::string& series) const { return figure(metrics_.registry.text(), series); }

  const Metrics metrics_;
  RouteTable routes_;
  RequestMetrics figures_{metrics_};
};

TEST_F(RequestFigures, KnownSeriesBeginAtZero) {
  for (const char* status : {"200", "400", "499", "500", "503"}) {
    const std::string label = std::string("\"") + status + '"';
    EXPECT_EQ(read("http_requests_total{method=\"POST\",route=\"/generate\",status=" + label + "}"), 0);
    EXPECT_EQ(read("qwen_requests_total{code=" + label + ",route=\"/generate\"}"), 0);
  }
  EXPECT_EQ(read("http_request_duration_seconds_count{route=\"/generate\"}"), 0);
  EXPECT_EQ(read("qwen_rejected_total{reason=\"queue_full\"}"), 0);
  EXPECT_EQ(metrics_.registry.text().find("/health"), std::string::npos);
  EXPECT_EQ(metrics_.registry.text().find("code=\"200\",route=\"/\""), std::string::npos);
}

TEST_F(RequestFigures, ProbesCountNowhere) {
  const std::string before = metrics_.registry.text();
  record("GET", "/health", Traffic::kProbe, 503);
  record("GET", "/health", Traffic::kProbe, 499);
  EXPECT_EQ(metrics_.registry.text(), before);
  EXPECT_EQ(figures_.totals().total(), 0u);
}

TEST_F(RequestFigures, PageAndUnmatchedAreNotTheApis) {
  record("GET", "/", Traffic::kPage, 200);
  record("GET", "-", Traffic::kPage, 404, "not_found");
  record("BREW", "-", Traffic::kPage, 404, "not_found");
  record("-", "-", Traffic::kPage, 400, "bad_request");
  EXPECT_EQ(read("http_requests_total{method=\"GET\",route=\"/\",status=\"200\"}"), 1);
  EXPECT_EQ(read("http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}"), 1);
  EXPECT_EQ(read("http_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"}"), 1);
  EXPECT_EQ(read("http_requests_total{method=\"other\",route=\"unmatched\",status=\"400\"}"), 1);
  EXPECT_EQ(figures_.totals().total(), 0u);
}

TEST_F(RequestFigures, SuccessFailureCancelled) {
  record("POST", "/generate", Traffic::kApi, 200, {}, 2);
  record("POST", "/generate", Traffic::kApi, 200, {}, 4);
  record("POST", "/generate", Traffic::kApi, 200, "internal_error", 100);  // told in mid-stream
  record("POST", "/generate", Traffic::kApi, 400, "invalid_value", 100);
  record("POST", "/generate", Traffic::kApi, 499, {}, 100);
  record("POST", "/generate", Traffic::kApi, 499, std::string(kSlowClient), 100);
  record("POST", "/generate", Traffic::kApi, 499, std::string(kWriteStall), 100);
  const RequestTotals totals = figures_.totals();
  EXPECT_EQ(totals.successful, 2u);
  EXPECT_EQ(totals.failed, 2u);
  EXPECT_EQ(totals.cancelled, 3u);
  EXPECT_EQ(totals.total(), 7u);
  EXPECT_DOUBLE_EQ(totals.mean_seconds(), 3);
  EXPECT_EQ(read("qwen_client_disconnects_total"), 1);
  EXPECT_EQ(read("qwen_slow_client_aborts_total"), 2);
  EXPECT_EQ(read("qwen_requests_total{code=\"200\",route=\"/generate\"}"), 3);
  EXPECT_EQ(read("http_request_duration_seconds_count{route=\"/generate\"}"), 7);
}

TEST_F(RequestFigures, RejectionsByReason) {
  const std::vector<std::tuple<int, const char*, Shortage, const char*>> cases = {
      {401, "unauthorized", Shortage::kNone, "auth"},
      {403, "forbidden", Shortage::kNone, "auth"},
      {413, "request_too_large", Shortage::kNone, "too_large"},
      {429, "rate_limited", Shortage::kNone, "rate_limit"},
      {503, "loading", Shortage::kNone, "loading"},
      {503, "draining", Shortage::kNone, "draining"},
      {503, "server_overloaded", Shortage::kQueue, "queue_full"},
      {503, "server_overloaded", Shortage::kConnections, "too_many_connections"},
      {503, "server_overloaded", Shortage::kMemory, "memory"},
      {503, "unhealthy", Shortage::kNone, "unhealthy"}};
  for (const auto& [status, code, shortage, reason] : cases) {
    const std::string series = std::string("qwen_rejected_total{reason=\"") + reason + "\"}";
    const double before = read(series);
    record("POST", "/generate", Traffic::kApi, status, code, 1, shortage);
    EXPECT_EQ(read(series), before + 1) << status << ' ' << code;
  }
  record("POST", "/generate", Traffic::kApi, 500, "internal_error");
  record("POST", "/generate", Traffic::kApi, 400, "invalid_value");
  double sum = 0;
  for (const char* reason : {"auth", "draining", "loading", "memory", "queue_full", "rate_limit", "too_large",
                             "too_many_connections", "unhealthy"})
    sum += read(std::string("qwen_rejected_total{reason=\"") + reason + "\"}");
  EXPECT_EQ(sum, static_cast<double>(cases.size()));
}

TEST_F(RequestFigures, NoBytesOfAClientBecomeALabel) {
  const auto lines = [this] {
    const std::string text = metrics_.registry.text();
    return std::count(text.begin(), text.end(), '\n');
  };
  record("M0", "-", Traffic::kPage, 404, "not_found");
  const auto before = lines();
  for (int i = 1; i < 100; ++i) record("M" + std::to_string(i), "-", Traffic::kPage, 404, "code" + std::to_string(i));
  EXPECT_EQ(lines(), before);
}

}  // namespace
}  // namespace qwen::test
