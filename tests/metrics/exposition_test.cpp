// The texts of several processes joined into one.
#include "metrics/exposition.h"

#include <gtest/gtest.h>

#include <vector>

#include "metrics/metrics.h"

namespace qwen {
namespace {

using Source = Exposition::Source;

constexpr std::string_view kFirst =
    "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
    "http_requests_total{status=\"200\"} 3\nhttp_requests_total{status=\"500\"} 1\n"
    "# HELP qwen_state State.\n# TYPE qwen_state gauge\nqwen_state{state=\"healthy\"} 1\n"
    "# HELP qwen_requests_running Running.\n# TYPE qwen_requests_running gauge\nqwen_requests_running 2\n"
    "# HELP process_open_fds Files.\n# TYPE process_open_fds gauge\nprocess_open_fds 11\n"
    "# HELP qwen_kv_cache_usage_ratio Share.\n# TYPE qwen_kv_cache_usage_ratio gauge\nqwen_kv_cache_usage_ratio 0.25\n";
constexpr std::string_view kSecond =
    "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
    "http_requests_total{status=\"404\"} 7\nhttp_requests_total{status=\"200\"} 0.5\n"
    "# HELP qwen_requests_running Running.\n# TYPE qwen_requests_running gauge\nqwen_requests_running 1\n"
    "# HELP qwen_model_info Model.\n# TYPE qwen_model_info gauge\nqwen_model_info{name=\"a b } c\"} 1\n";

TEST(Exposition, CountersAddUpAndGaugesNameTheirWorker) {
  const std::string text = join_expositions(std::vector<Exposition>{
      {Source::kWorker, "0", kFirst}, {Source::kWorker, "1", kSecond}, {Source::kSupervisor, "supervisor", kFirst}});
  EXPECT_EQ(text,
            "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
            "http_requests_total{status=\"200\"} 6.5\nhttp_requests_total{status=\"500\"} 2\n"
            "http_requests_total{status=\"404\"} 7\n"
            "# HELP qwen_state State.\n# TYPE qwen_state gauge\nqwen_state{state=\"healthy\"} 1\n"
            "# HELP qwen_requests_running Running.\n# TYPE qwen_requests_running gauge\nqwen_requests_running 5\n"
            "# HELP process_open_fds Files.\n# TYPE process_open_fds gauge\nprocess_open_fds{worker=\"0\"} 11\n"
            "process_open_fds{worker=\"supervisor\"} 11\n"
            "# HELP qwen_kv_cache_usage_ratio Share.\n# TYPE qwen_kv_cache_usage_ratio gauge\n"
            "qwen_kv_cache_usage_ratio{worker=\"0\"} 0.25\n"
            "# HELP qwen_model_info Model.\n# TYPE qwen_model_info gauge\nqwen_model_info{name=\"a b } c\"} 1\n");
}

TEST(Exposition, OfTheEndedOnlyWhatNeverGoesDownCounts) {
  const std::vector<Exposition> parts = {{Source::kEnded, "", kFirst}, {Source::kEnded, "", kSecond}};
  EXPECT_EQ(join_expositions(parts),
            "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
            "http_requests_total{status=\"200\"} 3.5\nhttp_requests_total{status=\"500\"} 1\n"
            "http_requests_total{status=\"404\"} 7\n");
}

TEST(Exposition, HistogramsAddUpBucketByBucket) {
  Metrics metrics;
  metrics.batch_size.observe(3);
  metrics.batch_size.observe(100000);
  const std::string one = metrics.registry.text();
  const std::string both =
      join_expositions(std::vector<Exposition>{{Source::kWorker, "0", one}, {Source::kWorker, "1", one}});
  for (const char* line :
       {"qwen_batch_size_count 4\n", "qwen_batch_size_sum 200006\n", "qwen_batch_size_bucket{le=\"2\"} 0\n",
        "qwen_batch_size_bucket{le=\"4\"} 2\n", "qwen_batch_size_bucket{le=\"+Inf\"} 4\n"})
    EXPECT_NE(both.find(line), std::string::npos) << line;
  // Joined once more it stays what it is: what ended is joined again and again.
  const std::string again = join_expositions(std::vector<Exposition>{{Source::kEnded, "", both}});
  EXPECT_NE(again.find("qwen_batch_size_sum 200006\n"), std::string::npos);
}

TEST(Exposition, WhatIsNoLineIsLeftOut) {
  const std::vector<Exposition> parts = {
      {Source::kWorker, "0", "lost 1\n# TYPE a counter\na\na x\na 1\n# \n#\n\na{b=\"c\"} +Inf"}};
  EXPECT_EQ(join_expositions(parts), "# TYPE a counter\na 1\na{b=\"c\"} +Inf\n");
  EXPECT_EQ(join_expositions({}), "");
}

}  // namespace
}  // namespace qwen
