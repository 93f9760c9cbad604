// Loading the model of a running service, on a thread of its own: with a progress bar on the terminal and progress in
// the service, ready at the end.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <string>
#include <thread>

#include "commands/service_signals.h"
#include "server/generation_service.h"
#include "server/service_config.h"

namespace qwen {

class ModelLoading {
 public:
  // Starts. The end, good or bad, wakes whoever waits for `signals`. All three must outlive the loading. `who` stands
  // before the line that says that the model is ready; `on_loaded`, where given, is called on the loading's thread
  // before anybody else sees the model.
  ModelLoading(const ServiceConfig& config, GenerationService& service, ServiceSignals& signals, std::string who = {},
               std::function<void(const LoadedModel&)> on_loaded = {});
  ~ModelLoading() { stop(); }
  ModelLoading(const ModelLoading&) = delete;
  ModelLoading& operator=(const ModelLoading&) = delete;

  // Ends a loading that still goes on.
  void stop();
  // Once the signals were woken: why it failed; null: it has not, and the service is ready.
  std::exception_ptr failure_after_wake();

 private:
  void load(const ServiceConfig& config, GenerationService& service);

  const std::string who_;
  const std::function<void(const LoadedModel&)> on_loaded_;
  std::atomic<bool> stopping_{false};
  std::exception_ptr failure_;
  std::thread thread_;
};

// A line to standard output, at once.
void say(const std::string& line);

}  // namespace qwen
