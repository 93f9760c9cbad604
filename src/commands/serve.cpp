// `serve`: the HTTP service. It listens at once and answers health questions while the model loads on a thread of its
// own; SIGTERM and SIGINT drain it, a second one ends it at once; SIGHUP has the configuration read again. With several
// workers the process that was started is their supervisor, and each of them serves as one process would.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu_count.h"
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
#include "commands/service_manager.h"
#include "commands/service_signals.h"
#include "commands/supervisor.h"
#include "commands/worker_process.h"
#include "logging/service_log.h"
#include "server/config/config_faults.h"
#include "server/config/config_file.h"
#include "server/config/config_review.h"
#include "server/http/request_id.h"
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

// The one command that says all that is wrong, a line each: the list is what it is for.
int check_config(const ServeOptions& options) {
  ConfigFaults faults;
  const std::vector<std::string> files = options.files();
  const EffectiveConfig effective = options.flags.resolve(files, &faults);
  const bool read = faults.all().empty();
  const std::vector<ConfigNotice> notices = review_config(effective, &faults);
  const ServiceConfig& config = effective.config;
  attempt(&faults, {"ssl_config.cert_file", "ssl_config.key_file"}, [&] {
    if (!config.ssl_cert_file.empty()) TlsContext(config.ssl_cert_file, config.ssl_key_file);
  });
  if (read) {  // else some values would be those of nobody
    std::fputs(config_report(effective, files).c_str(), stdout);
    for (const ConfigNotice& notice : notices) say("# " + escape_controls(notice.text));
    std::fflush(stdout);
  }
  return report_faults(faults);
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

void say_listening(const ServiceConfig& config, const HttpServer& server) {
  say("listening on " + address(config, server.port()));
}

// What may change the service while it runs: SIGHUP, and files with --reload.
class ChangeWatch {
 public:
  // `apply`: takes over what may change at once.
  ChangeWatch(const ServeOptions& options, EffectiveConfig running, const std::string& model_path, bool watch_files,
              std::function<void(const ServiceConfig&)> apply)
      : options_(options),
        live_(
            std::move(running), [&options] { return options.read(); }, std::move(apply)) {
    if (!watch_files) return;
    files_.emplace(
        [&options] {
          try {
            return options.files();
          } catch (const Error&) {
            return std::vector<std::string>();
          }
        },
        model_path);
  }

  void reload() { live_.reload(); }
  bool watches_files() const { return files_.has_value(); }
  bool restart_wanted() {
    const std::optional<std::string> changed = files_ ? files_->look() : std::nullopt;
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

 private:
  const ServeOptions& options_;
  LiveConfig live_;
  std::optional<RestartWatch> files_;
};

// What ends the service while it runs.
struct Ending {
  int signal = 0;              // SIGINT, SIGTERM
  std::exception_ptr failure;  // of loading
  bool restart = false;
};

// One process that serves: alone, or as a worker.
class ServeLoop {
 public:
  ServeLoop(const ServiceConfig& config, GenerationService& service, HttpServer& server, ServiceSignals& signals,
            ServiceManager& manager, ChangeWatch& changes)
      : config_(config), service_(service), server_(server), signals_(signals), manager_(manager), changes_(changes) {}

  // `announces`: says where it listens, once it does.
  Ending run(ModelLoading& loading, bool announces) {
    constexpr std::chrono::milliseconds kBetweenLooks{500};
    std::optional<std::chrono::milliseconds> limit = manager_.interval();
    if (changes_.watches_files()) limit = std::min(limit.value_or(kBetweenLooks), kBetweenLooks);
    for (;;) {
      tell_manager();
      const int event = signals_.wait(limit);
      if (event == SIGHUP) {
        manager_.reloading();
        changes_.reload();
        manager_.reloaded();
      } else if (event == SIGUSR1) {
        continue;
      } else if (event == ServiceSignals::kNothing) {
        if (changes_.restart_wanted()) return {.restart = true};
      } else if (event != ServiceSignals::kWoken) {
        return {.signal = event};
      } else if (const std::exception_ptr failure = loading.failure_after_wake(); !failure) {
        server_.open_port();
        if (announces && !config_.listen_while_loading) say_listening(config_, server_);
      } else if (!changes_.watches_files()) {
        return {.failure = failure};
      } else {
        say_failure(failure);
      }
    }
  }

  void tell_manager() const {
    using Phase = ServiceManager::Condition::Phase;
    ServiceManager::Condition condition{.progress = service_.progress(),
                                        .alive = service_.makes_progress(config_.engine_watchdog)};
    switch (service_.state()) {
      case ServiceState::kLoading:
        break;
      case ServiceState::kReady:
        condition.phase = Phase::kReady;
        break;
      case ServiceState::kDraining:
        condition.phase = Phase::kStopping;
        break;
      case ServiceState::kUnhealthy:
        condition.phase = Phase::kUnhealthy;
    }
    manager_.tell(condition);
  }

 private:
  static void say_failure(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      log_error("the model could not be loaded, waiting for a change: ", error.what());
    }
  }

  const ServiceConfig& config_;
  GenerationService& service_;
  HttpServer& server_;
  ServiceSignals& signals_;
  ServiceManager& manager_;
  ChangeWatch& changes_;
};

// What the service was started with, as it is going to be used.
struct Start {
  std::vector<std::string> files;
  EffectiveConfig effective;
  std::vector<ConfigNotice> notices;
  ServiceConfig config;
};
Start read_start(const ServeOptions& options) {
  Start start{.files = options.files()};
  start.effective = options.flags.resolve(start.files);
  start.notices = review_config(start.effective);
  start.config = start.effective.config;
  return start;
}

// The exit status; nothing: to be started anew.
std::optional<int> serve(const ServeOptions& options, Start start, const ServiceLog& log, ServiceSignals& signals,
                         ServiceManager& manager, const std::shared_ptr<const WorkerSeat>& seat) {
  if (seat) {
    start.config = worker_config(std::move(start.config), seat->place, seat->board->workers(), usable_cores());
    name_worker_in_request_ids(seat->place);
  }
  const ServiceConfig& config = start.config;
  GenerationService service;
  HttpServer server(config, service, &log, seat);
  server.start();
  if (!seat && config.listen_while_loading) say_listening(config, server);
  if (server.metrics_port() > 0) say("metrics on " + address(config, server.metrics_port()) + "/metrics");
  ChangeWatch changes(options, std::move(start.effective), config.model_path, options.reload && !seat,
                      [&server](const ServiceConfig& changed) { server.reload(changed); });
  ServeLoop loop(config, service, server, signals, manager, changes);
  ModelLoading loading(config, service, signals, seat ? str("worker ", seat->place, " ") : "");

  const Ending ending = loop.run(loading, !seat);
  if (ending.failure || ending.restart) {
    server.stop(std::chrono::milliseconds(0));
    loading.stop();
    service.shutdown();
    if (ending.failure) std::rethrow_exception(ending.failure);
    return std::nullopt;
  }
  log_info("draining: running requests may finish within ", config.drain_timeout.count(), " s");
  int second_signal = 0;
  const auto hurry = [&] {
    loop.tell_manager();
    if (second_signal == 0) second_signal = signals.poll();
    return second_signal != 0;
  };
  // Whoever is at the terminal needs no time to look elsewhere.
  const bool nobody_to_tell = ending.signal == SIGINT || !service.model();
  server.close_port(nobody_to_tell ? std::chrono::seconds(0) : config.drain_grace, hurry);
  server.stop(config.drain_timeout, hurry);
  loading.stop();
  service.shutdown();
  return second_signal == 0 ? 0 : 128 + second_signal;
}

std::optional<int> supervise(const ServeOptions& options, Start start, const ServiceLog& log, ServiceSignals& signals,
                             ServiceManager& manager) {
  std::optional<Supervisor> supervisor;
  ChangeWatch changes(options, std::move(start.effective), start.config.model_path, options.reload,
                      [&supervisor](const ServiceConfig& changed) { supervisor->reload(changed); });
  Supervisor::Hooks hooks{.reload = [&changes] { changes.reload(); },
                          .listening = [&start](const HttpServer& server) { say_listening(start.config, server); }};
  if (options.reload) hooks.restart_wanted = [&changes] { return changes.restart_wanted(); };
  supervisor.emplace(start.config, log, signals, manager, std::move(hooks));
  if (const int port = supervisor->metrics_port(); port > 0)
    say("metrics on " + address(start.config, port) + "/metrics");
  return supervisor->run();
}

ServiceLogOptions log_options(const ServiceConfig& config) {
  return {.file = service_log_path(config.log_file),
          .format = config.log_format,
          .max_bytes = config.log_max_bytes,
          .backup_count = config.log_backup_count};
}

// As one process, as a supervisor or as one of its workers: the exit status; nothing: to be started anew.
std::optional<int> run_service(const ServeOptions& options) {
  const std::shared_ptr<const WorkerSeat> seat = inherited_seat();
  ServiceSignals signals;
  // A worker's manager is its supervisor, which reads the board.
  ServiceManager manager([&](const char* name) -> const char* { return seat ? nullptr : std::getenv(name); });
  Start start = read_start(options);
  set_log_level(start.config.log_level);
  const ServiceLogOptions logs = log_options(start.config);
  const ServiceLog log(logs);
  try {
    if (!seat) {
      say_config(start.files, start.notices);
      warn_of_readable_keys(start.effective);
      if (!logs.file.empty())
        log_info("log files: ", logs.file, ", beside it access.log and error.log");
      else if (!start.config.log_file.empty() && start.config.log_file != "none")
        log_info("no log files: the folder of ", start.config.log_file,
                 " is not there; LOG_FILE=logs/service.log writes them here, none says that they are not wanted");
    }
    place_model(start.config);
    if (!seat && start.config.workers > 1) return supervise(options, std::move(start), log, signals, manager);
    return serve(options, std::move(start), log, signals, manager, seat);
  } catch (const std::exception& error) {
    log_to_files(LogLevel::kError, str("the service ends: ", error.what()));  // main says it on standard error
    throw;
  }
}

int run_serve(const ServeOptions& options) {
  if (options.check_config) return check_config(options);
  const std::optional<int> status = run_service(options);
  if (!status) restart_process();
  return *status;
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
  command->footer(ConfigFlags::variables_without_flag());
  command->callback([options, &run] { run = [options] { return run_serve(*options); }; });
}

}  // namespace qwen
