// What the service knows about itself, for /metrics and /stats: joins the metrics that are counted where things happen
// with what is read when somebody asks (engine, connections, process, machine). Never waits for the engine's work or a
// model that loads. Of a service of several processes it tells the whole, whichever of them is asked.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "server/generation_service.h"
#include "server/http/connection.h"
#include "server/process_usage.h"
#include "server/request_metrics.h"
#include "server/workers/worker_board.h"

namespace qwen {

class ServiceLog;

class ServiceMonitor {
 public:
  // `service` and `log` must outlive the monitor; `log` is null where there is none to tell about. `seat`: this
  // process's part in a service of several; null: it is alone.
  explicit ServiceMonitor(const GenerationService& service, const ServiceLog* log = nullptr,
                          std::shared_ptr<const WorkerSeat> seat = {});

  // The routes and connections to tell about; once, before the first request.
  void watch(std::shared_ptr<const ConnectionContext> connections);
  void on_request(const AccessRecord& record) { requests_.record(record); }

  std::string scrape();      // all metrics in Prometheus' text format 0.0.4; any thread
  std::string stats_json();  // the answer of GET /stats
  void publish();            // this process's figures to the others; any thread
  void on_restart() const;   // of a worker: the supervisor started one again
  void on_cut(int requests) { cut_ += static_cast<uint64_t>(requests); }
  ServiceFigures figures() { return whole().figures; }

 private:
  ServiceSnapshot read();  // of this process alone, under scrape_mutex_
  ServiceSnapshot whole();
  void read_engine() const;
  void read_service() const;
  void read_connections() const;
  void read_cache() const;
  CacheFigures cache_figures() const;
  void read_machine();
  void read_logs() const;

  const GenerationService& service_;
  const ServiceLog* const log_;
  const Metrics& metrics_;
  const std::shared_ptr<const WorkerSeat> seat_;
  RequestMetrics requests_;
  std::atomic<uint64_t> cut_{0};
  CpuMeter cpu_;
  std::shared_ptr<const ConnectionContext> connections_;  // null until watch()
  std::mutex scrape_mutex_;                               // one reading at a time: counters follow totals
  bool too_large_ = false;                                // guarded by it
};

}  // namespace qwen
