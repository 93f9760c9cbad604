// Keeps a process's place on the board up to date: its state every quarter of a second, its figures every half second
// and whenever somebody asks.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/generation_service.h"
#include "server/workers/worker_board.h"

namespace qwen {

class ServiceMonitor;

class WorkerReport {
 public:
  // All three must outlive it.
  WorkerReport(const WorkerSeat& seat, const GenerationService& service, ServiceMonitor& monitor);
  ~WorkerReport();  // after a last report
  WorkerReport(const WorkerReport&) = delete;
  WorkerReport& operator=(const WorkerReport&) = delete;

  void report_state() const;  // now; any thread

 private:
  void run();

  const WorkerSeat& seat_;
  const GenerationService& service_;
  ServiceMonitor& monitor_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace qwen
