// What the service knows about itself, for /metrics and /stats: joins the metrics that are counted where things happen
// with what is read when somebody asks (engine, connections, process, machine). Never waits for the engine's work or a
// model that loads.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "server/generation_service.h"
#include "server/http/connection.h"
#include "server/process_usage.h"
#include "server/request_metrics.h"

namespace qwen {

class ServiceMonitor {
 public:
  explicit ServiceMonitor(const GenerationService& service);  // which must outlive the monitor

  // The routes and connections to tell about; once, before the first request.
  void watch(std::shared_ptr<const ConnectionContext> connections);
  void on_request(const AccessRecord& record) { requests_.record(record); }

  std::string scrape();      // all metrics in Prometheus' text format 0.0.4; any thread
  std::string stats_json();  // the answer of GET /stats

 private:
  void read_engine() const;
  void read_service() const;
  void read_connections() const;
  void read_cache() const;
  void read_machine();

  const GenerationService& service_;
  const Metrics& metrics_;
  RequestMetrics requests_;
  CpuMeter cpu_;
  std::shared_ptr<const ConnectionContext> connections_;  // null until watch()
  std::mutex scrape_mutex_;                               // one reading at a time: counters follow totals
};

}  // namespace qwen
