// `serve` with several workers: the process that opens the port, starts the workers on it and starts those again that
// end. It never loads the model, so it outlives whatever happens to them; as long as no worker is ready it answers
// itself (503), and it owns the metrics port. What it has accepted of the configuration is what workers get, whenever
// they are started.
//
//   first worker loads ─ready─▶ the others are started ─▶ all serve; one that ends is started again, after a while
//        └─ ends with a status ─▶ the service ends with it: its error line was the worker's
// It ends so, too, where later none comes up for a reason that stays: the model has gone.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "commands/restart_backoff.h"
#include "commands/service_manager.h"
#include "commands/service_signals.h"
#include "server/config.h"
#include "server/server.h"

namespace qwen {

class Supervisor {
 public:
  struct Hooks {
    std::function<void()> reload;                      // SIGHUP: the configuration of this process
    std::function<const EffectiveConfig&()> accepted;  // the configuration as it holds now
    std::function<bool()> restart_wanted;              // --reload, looked at now and then; empty = no --reload
    std::function<void(const HttpServer&)> listening;  // the port is open from here on
  };

  // Binds. `log`, `signals` and `manager` must outlive it. Errors: as HttpServer; kConfig where the settings are too
  // large to be handed over.
  Supervisor(const ServiceConfig& config, const ServiceLog& log, ServiceSignals& signals, ServiceManager& manager,
             Hooks hooks);
  ~Supervisor();  // no worker survives it

  // Until a signal ends the service, or it cannot be: the exit status; nothing: to be started anew (--reload). Errors:
  // kTemporary where no worker ever came up because each was killed.
  std::optional<int> run();
  void reload(const ServiceConfig& config) { server_.reload(config); }
  int metrics_port() const { return server_.metrics_port(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Worker {
    pid_t pid = -1;  // -1: there is no process
    std::optional<Clock::time_point> start_at, ready_since;
    RestartBackoff backoff;
    bool started_once = false;
  };

  void hand_over();
  void hand_over_again();
  void start_due();
  void reap();
  void ended(int place, int status);
  void ended_before_ready(int place, int status);
  void look_for_hopelessness(int status);
  void look();
  void look_for_hangs();
  void tell_manager();
  int shut_down(int signal);
  void end_all();
  void forward(int signal) const;
  bool any_alive() const;

  const ServiceConfig config_;
  ServiceSignals& signals_;
  ServiceManager& manager_;
  const Hooks hooks_;
  const std::shared_ptr<const WorkerSeat> seat_;
  GenerationService service_;  // without a model: speaks for the workers
  HttpServer server_;
  std::vector<Worker> workers_;
  bool any_ready_ever_ = false, stopping_ = false;
  bool answers_itself_ = true;  // no worker takes connections
  int deaths_before_ready_ = 0;
  int hopeless_ends_ = 0, hopeless_status_ = 0;  // of workers, in a row, while none was ready
  uint64_t handed_certificate_ = 0;
  std::optional<int> failure_;  // the exit status
};

}  // namespace qwen
