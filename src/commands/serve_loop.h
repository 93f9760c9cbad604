// One process that serves, alone or as a worker, from the start of loading to its end.
#pragma once

#include <chrono>
#include <exception>
#include <functional>

#include "commands/change_watch.h"
#include "commands/model_loading.h"
#include "commands/service_manager.h"
#include "commands/service_signals.h"
#include "commands/worker_orders.h"
#include "server/server.h"

namespace qwen {

class ServeLoop {
 public:
  struct Parts {
    const ServiceConfig& config;
    GenerationService& service;
    HttpServer& server;
    ServiceSignals& signals;
    ServiceManager& manager;
    ChangeWatch& changes;
    WorkerOrders* orders;  // a worker's; null: alone
  };
  struct Ending {
    int signal = 0;              // SIGINT, SIGTERM
    std::exception_ptr failure;  // of loading
    bool restart = false;        // --reload
  };

  explicit ServeLoop(const Parts& parts) : parts_(parts) {}

  // Opens the port once the model is there, and calls `on_open`.
  Ending run(ModelLoading& loading, const std::function<void()>& on_open);

  // After a signal: answers what runs, and ends all; at once after a second one. The exit status.
  int drain(ModelLoading& loading, int signal);

 private:
  void tell_manager() const;
  int second_signal();  // as which it is to end at once; 0: there is time

  const Parts parts_;
};

}  // namespace qwen
