// `serve`: the HTTP service. It listens at once and answers health questions while the model loads on a thread of its
// own; SIGTERM and SIGINT drain it, a second one ends it at once.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/demo_model.h"
#include "commands/format_number.h"
#include "commands/load_service.h"
#include "commands/service_signals.h"
#include "server/config.h"
#include "server/server.h"

namespace qwen {
namespace {

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::string address(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

void say_ready(const LoadedModel& model, double seconds) {
  const ModelInfo& info = model.info;
  say(str("ready: ", info.name, ", ", grouped(info.parameters), " parameters, ",
          info.quantization == "none" ? info.dtype : info.quantization, ", ", info.device, ", kernels ", info.kernels,
          ", context ", grouped(model.engine->max_model_len()), ", loaded in ", fixed(seconds, 1), " s"));
  if (info.demo) say("This is a demonstration model: it knows a little arithmetic and cryptography, and nothing else.");
}

// Loads on a thread of its own; a failure is kept and wakes whoever waits for `signals`.
class Loading {
 public:
  Loading(const ServiceConfig& config, GenerationService& service, ServiceSignals& signals) {
    thread_ = std::thread([this, &config, &service, &signals] {
      try {
        load(config, service);
      } catch (...) {
        failure_ = std::current_exception();
        signals.wake();
      }
    });
  }
  ~Loading() { stop(); }

  // Ends a loading that still goes on.
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::exception_ptr failure() const { return failure_; }  // after stop()

 private:
  struct Stopped {};

  void load(const ServiceConfig& config, GenerationService& service) {
    const auto start = std::chrono::steady_clock::now();
    std::optional<ProgressBar> bar("loading");
    LoadedModel model;
    try {
      model = load_service_model(config, [&](uint64_t done, uint64_t total) {
        if (stopping_) throw Stopped{};
        bar->update(done, total);
        service.set_progress(done, total);
      });
    } catch (const Stopped&) {
      return;
    }
    bar.reset();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    service.set_ready(std::move(model));
    say_ready(*service.model(), seconds);
  }

  std::atomic<bool> stopping_{false};
  std::exception_ptr failure_;
  std::thread thread_;
};

int run_serve(const ConfigFlags& flags) {
  ServiceSignals signals;
  ServiceConfig config = flags.resolve();
  set_log_level(config.log_level);
  config.model_path = model_or_demo(config.model_path, config.demo);
  if (config.metrics_port != 0 && config.metrics_port == config.port)
    throw wrong_setting(config, "monitoring.metrics_port", "is the port of the service itself; give it another");
  if (config.metrics_port != 0 && !config.enable_metrics)
    throw wrong_setting(config, "monitoring.metrics_port", "needs metrics, which are switched off");
  GenerationService service;
  HttpServer server(config, service);
  server.start();
  say("listening on " + address(config.host, server.port()));
  if (server.metrics_port() > 0) say("metrics on " + address(config.host, server.metrics_port()) + "/metrics");
  Loading loading(config, service, signals);

  if (signals.wait() == 0) {
    server.stop(std::chrono::milliseconds(0));
    loading.stop();
    std::rethrow_exception(loading.failure());
  }
  log_info("draining: running requests may finish within ", config.drain_timeout.count(), " s");
  int second_signal = 0;
  server.stop(config.drain_timeout, [&] {
    if (second_signal == 0) second_signal = signals.poll();
    return second_signal != 0;
  });
  loading.stop();
  service.shutdown();
  return second_signal == 0 ? 0 : 128 + second_signal;
}

}  // namespace

void add_serve(CLI::App& app, CommandRun& run) {
  auto flags = std::make_shared<ConfigFlags>();
  CLI::App* command = app.add_subcommand("serve", "The HTTP service; every flag is also an environment variable");
  flags->declare(*command);
  command->callback([flags, &run] { run = [flags] { return run_serve(*flags); }; });
}

}  // namespace qwen
