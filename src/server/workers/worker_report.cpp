#include "server/workers/worker_report.h"

#include "base/log.h"
#include "server/service_monitor.h"

namespace qwen {
namespace {

constexpr std::chrono::milliseconds kStateInterval{250};
constexpr int kStatesPerFigures = 2;  // about a millisecond each

WorkerState worker_state(ServiceState state) {
  switch (state) {
    case ServiceState::kLoading:
      return WorkerState::kLoading;
    case ServiceState::kReady:
      return WorkerState::kReady;
    case ServiceState::kDraining:
      return WorkerState::kDraining;
    case ServiceState::kUnhealthy:
      break;
  }
  return WorkerState::kUnhealthy;
}

}  // namespace

WorkerReport::WorkerReport(const WorkerSeat& seat, const GenerationService& service, ServiceMonitor& monitor)
    : seat_(seat), service_(service), monitor_(monitor), thread_([this] { run(); }) {}

WorkerReport::~WorkerReport() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
  monitor_.publish();
}

void WorkerReport::report_state() const {
  WorkerBoard& board = *seat_.board;
  board.set_progress(seat_.place, service_.progress());
  if (service_.model()) board.set_heartbeat(seat_.place, service_.stats().heartbeat);
  board.set_state(seat_.place, worker_state(service_.state()));
}

void WorkerReport::run() {
  std::unique_lock lock(mutex_);
  for (int round = 0; !stopping_; round = (round + 1) % kStatesPerFigures) {
    lock.unlock();
    try {
      report_state();
      if (round == 0) monitor_.publish();
    } catch (const std::exception& error) {  // of memory: the next round may have some
      log_error("figures for the other processes: ", error.what());
    }
    lock.lock();
    stop_.wait_for(lock, kStateInterval, [this] { return stopping_; });
  }
}

}  // namespace qwen
