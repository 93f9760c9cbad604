// `serve`: the HTTP service. It listens at once and answers health questions while the model loads on a thread of its
// own; SIGTERM and SIGINT drain it, a second one ends it at once; SIGHUP has the configuration read again.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/quote.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/config_report.h"
#include "commands/demo_model.h"
#include "commands/key_files.h"
#include "commands/live_config.h"
#include "commands/model_loading.h"
#include "commands/restart_watch.h"
#include "commands/service_signals.h"
#include "server/config/config_file.h"
#include "server/config/config_review.h"
#include "server/http/tls_context.h"
#include "server/server.h"

namespace qwen {
namespace {

std::string address(const ServiceConfig& config, int port) {
  const std::string& host = config.host;
  const bool v6 = host.find(':') != std::string::npos;
  return (config.ssl_cert_file.empty() ? "http://" : "https://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

struct ServeOptions {
  ConfigFlags flags;
  std::vector<std::string> config_files;
  bool check_config = false, reload = false;

  std::vector<std::string> files() const {
    return find_config_files(config_files, [](const char* name) -> const char* { return std::getenv(name); });
  }
  EffectiveConfig read() const { return flags.resolve(files()); }
};

int check_config(const ServeOptions& options) {
  const std::vector<std::string> files = options.files();
  const EffectiveConfig effective = options.flags.resolve(files);
  std::fputs(config_report(effective, files).c_str(), stdout);
  std::fflush(stdout);  // before what may be wrong
  for (const ConfigNotice& notice : review_config(effective)) say("# " + escape_controls(notice.text));
  const ServiceConfig& config = effective.config;
  if (!config.ssl_cert_file.empty()) TlsContext(config.ssl_cert_file, config.ssl_key_file);
  return 0;
}

// The start's log lines about the configuration.
void say_config(const std::vector<std::string>& files, const std::vector<ConfigNotice>& notices) {
  for (const std::string& file : files) log_info("configuration: ", file);
  for (const ConfigNotice& notice : notices)
    if (log_enabled(notice.level)) log_message(notice.level, notice.text);
}

void place_model(ServiceConfig& config) {
  const std::string folder = model_or_demo(config.model_path, config.demo);
  if (folder == config.model_path) return;
  config.model_path = folder;
  const auto name = config.origins.find("model.name");
  if (name != config.origins.end() && name->second.from_file) config.model_name.clear();  // of the one not there
}

// What ends the service while it runs.
struct Ending {
  int signal = 0;              // SIGINT, SIGTERM
  std::exception_ptr failure;  // of loading
  bool restart = false;
};

class ServeLoop {
 public:
  ServeLoop(const ServeOptions& options, EffectiveConfig running, const std::string& model_path,
            ServiceSignals& signals, HttpServer& server)
      : options_(options),
        signals_(signals),
        live_(
            std::move(running), [&options] { return options.read(); },
            [&server](const ServiceConfig& config) { server.reload(config); }) {
    if (!options.reload) return;
    watch_.emplace(
        [&options] {
          try {
            return options.files();
          } catch (const Error&) {
            return std::vector<std::string>();
          }
        },
        model_path);
  }

  Ending run(ModelLoading& loading) {
    constexpr std::chrono::milliseconds kBetweenLooks{500};
    for (;;) {
      const int event = watch_ ? signals_.wait(kBetweenLooks) : signals_.wait();
      if (event == SIGHUP) {
        live_.reload();
      } else if (event == ServiceSignals::kNothing) {
        if (should_restart()) return {.restart = true};
      } else if (event != ServiceSignals::kWoken) {
        return {.signal = event};
      } else if (const std::exception_ptr failure = loading.failure_after_wake(); !watch_) {
        return {.failure = failure};
      } else {
        say_failure(failure);
      }
    }
  }

 private:
  bool should_restart() {
    const std::optional<std::string> changed = watch_->look();
    if (!changed) return false;
    try {
      review_config(options_.read());
    } catch (const Error& error) {
      log_error(*changed, " changed, but the service is not restarted: ", error.what());
      return false;
    }
    log_info(*changed, " changed: restarting");
    return true;
  }

  static void say_failure(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      log_error("the model could not be loaded, waiting for a change: ", error.what());
    }
  }

  const ServeOptions& options_;
  ServiceSignals& signals_;
  LiveConfig live_;
  std::optional<RestartWatch> watch_;
};

// Serves until something ends it; true: to be started anew.
bool serve(const ServeOptions& options, ServiceSignals& signals, int& second_signal) {
  const std::vector<std::string> files = options.files();
  EffectiveConfig effective = options.flags.resolve(files);
  ServiceConfig config = effective.config;
  set_log_level(config.log_level);
  say_config(files, review_config(effective));
  warn_of_readable_keys(effective);
  place_model(config);
  GenerationService service;
  HttpServer server(config, service);
  server.start();
  say("listening on " + address(config, server.port()));
  if (server.metrics_port() > 0) say("metrics on " + address(config, server.metrics_port()) + "/metrics");
  ServeLoop loop(options, std::move(effective), config.model_path, signals, server);
  ModelLoading loading(config, service, signals);

  const Ending ending = loop.run(loading);
  if (ending.failure || ending.restart) {
    server.stop(std::chrono::milliseconds(0));
    loading.stop();
    service.shutdown();
    if (ending.failure) std::rethrow_exception(ending.failure);
    return true;
  }
  log_info("draining: running requests may finish within ", config.drain_timeout.count(), " s");
  server.stop(config.drain_timeout, [&] {
    if (second_signal == 0) second_signal = signals.poll();
    return second_signal != 0;
  });
  loading.stop();
  service.shutdown();
  return false;
}

int run_serve(const ServeOptions& options) {
  if (options.check_config) return check_config(options);
  ServiceSignals signals;
  int second_signal = 0;
  if (serve(options, signals, second_signal)) restart_process();
  return second_signal == 0 ? 0 : 128 + second_signal;
}

}  // namespace

void add_serve(CLI::App& app, CommandRun& run) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "The HTTP service; every flag is also an environment variable");
  options->flags.declare(*command);
  command
      ->add_option("--config", options->config_files,
                   "YAML file, or a folder with model_config.yaml and service_config.yaml; repeatable, the last one "
                   "wins; none: no file; default: the first of configs, /app/configs, /etc/qwen-thinking "
                   "[CONFIG_FILES, CONFIG_FILE]")
      ->type_name("")
      ->expected(1)
      ->take_all();
  command->add_flag("--check-config", options->check_config,
                    "Print the effective configuration, each value with where it came from, and end");
  command->add_flag("--reload", options->reload,
                    "For development: start anew when a configuration file or the model folder changes");
  command->callback([options, &run] { run = [options] { return run_serve(*options); }; });
}

}  // namespace qwen
