// Counts HTTP requests where each of them ends, its access record. What counts as what:
//   probes                 not counted at all
//   http_requests_total    all others, also those that matched no route or could not be read
//   qwen_requests_total    the API's (Traffic::kApi): generating routes, model lists, tokenizing
//   RequestTotals, /stats  the same, told apart: `successful` is a status below 400 whose stream, if it was one, did
//   not
//                          end in an error; `cancelled` is a client that went away or did not read (499), which is
//                          neither success nor failure; `failed` is the rest
// Every label value comes from a bounded set: methods and statuses that exist, the route table's patterns.
#pragma once

#include <cstdint>
#include <mutex>

#include "metrics/metrics.h"
#include "server/http/connection.h"

namespace qwen {

struct RequestTotals {
  uint64_t successful = 0, failed = 0, cancelled = 0;
  double successful_seconds = 0;  // all together

  uint64_t total() const { return successful + failed + cancelled; }
  double mean_seconds() const { return successful == 0 ? 0 : successful_seconds / static_cast<double>(successful); }
};

class RequestMetrics {
 public:
  explicit RequestMetrics(const Metrics& metrics) : metrics_(metrics) {}

  void declare(const RouteTable& routes);   // begins the series that are to be expected at 0
  void record(const AccessRecord& record);  // any thread
  RequestTotals totals() const;

 private:
  void count_reason(const AccessRecord& record) const;

  const Metrics& metrics_;
  mutable std::mutex mutex_;  // guards totals_
  RequestTotals totals_;
};

}  // namespace qwen
