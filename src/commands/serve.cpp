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
#include "base/log_format.h"
#include "base/quote.h"
#include "commands/change_watch.h"
#include "commands/commands.h"
#include "commands/config_flags.h"
#include "commands/config_report.h"
#include "commands/demo_model.h"
#include "commands/key_files.h"
#include "commands/model_loading.h"
#include "commands/restart_watch.h"
#include "commands/serve_loop.h"
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
  EffectiveConfig read() const;
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

// Where there is no model, the demonstration's folder and none of the other one's names.
void place_model(EffectiveConfig& effective) {
  ServiceConfig& config = effective.config;
  const std::string folder = model_or_demo(config.model_path, config.demo);
  if (folder == config.model_path) return;
  config.model_path = folder;
  const auto name = config.origins.find("model.name");
  const bool of_the_other = name != config.origins.end() && name->second.from_file;
  if (of_the_other) config.model_name.clear();
  for (EffectiveValue& value : effective.values) {
    if (value.name == "model.path") value.value = folder;
    if (value.name == "model.name" && of_the_other) value.value.clear();
  }
}

EffectiveConfig ServeOptions::read() const {
  EffectiveConfig effective = flags.resolve(files());
  place_model(effective);
  return effective;
}

void say_listening(const ServiceConfig& config, const HttpServer& server) {
  say("listening on " + address(config, server.port()));
}

// What the service was started with.
struct Start {
  std::vector<std::string> files;
  EffectiveConfig effective;
  std::vector<ConfigNotice> notices;

  const ServiceConfig& config() const { return effective.config; }
};
Start read_start(const ServeOptions& options) {
  Start start{.files = options.files()};
  start.effective = options.flags.resolve(start.files);
  start.notices = review_config(start.effective);
  return start;
}

// The exit status; nothing: to be started anew.
std::optional<int> serve(const ServeOptions& options, EffectiveConfig effective, const ServiceLog& log,
                         ServiceSignals& signals, ServiceManager& manager,
                         const std::shared_ptr<const WorkerSeat>& seat, WorkerOrders* orders) {
  const ServiceConfig config = seat ? worker_config(effective.config, *seat, usable_cores()) : effective.config;
  GenerationService service;
  HttpServer server(config, service, &log, seat);
  server.start();
  if (!seat && config.listen_while_loading) say_listening(config, server);
  if (server.metrics_port() > 0) say("metrics on " + address(config, server.metrics_port()) + "/metrics");
  ChangeWatch changes(
      std::move(effective), [&] { return orders != nullptr ? orders->settings() : options.read(); },
      [&server](const ServiceConfig& changed) { server.reload(changed); },
      options.reload && !seat ? [&options] { return options.files(); } : ChangeWatch::Files(), config.model_path);
  ServeLoop loop({config, service, server, signals, manager, changes, orders});
  std::function<void(const LoadedModel&)> on_loaded;
  if (seat) on_loaded = [&](const LoadedModel& m) { seat->board->offer_kv_cache_bytes(m.engine->kv_cache_bytes()); };
  ModelLoading loading(config, service, signals, seat ? str("worker ", seat->place, " ") : "", std::move(on_loaded));

  const ServeLoop::Ending ending = loop.run(loading, [&] {
    if (!seat && !config.listen_while_loading) say_listening(config, server);
  });
  if (ending.signal != 0) return loop.drain(loading, ending.signal);
  server.stop(std::chrono::milliseconds(0));
  loading.stop();
  service.shutdown();
  if (ending.failure) std::rethrow_exception(ending.failure);
  return std::nullopt;
}

std::optional<int> supervise(const ServeOptions& options, EffectiveConfig effective, const ServiceLog& log,
                             ServiceSignals& signals, ServiceManager& manager) {
  const ServiceConfig config = effective.config;
  std::optional<Supervisor> supervisor;
  ChangeWatch changes(
      std::move(effective), [&options] { return options.read(); },
      [&supervisor](const ServiceConfig& changed) { supervisor->reload(changed); },
      options.reload ? [&options] { return options.files(); } : ChangeWatch::Files(), config.model_path);
  Supervisor::Hooks hooks{.reload = [&changes] { changes.reload(); },
                          .accepted = [&changes]() -> const EffectiveConfig& { return changes.running(); },
                          .listening = [&config](const HttpServer& server) { say_listening(config, server); }};
  if (options.reload) hooks.restart_wanted = [&changes] { return changes.restart_wanted(); };
  supervisor.emplace(config, log, signals, manager, std::move(hooks));
  if (const int port = supervisor->metrics_port(); port > 0) say("metrics on " + address(config, port) + "/metrics");
  return supervisor->run();
}

ServiceLogOptions log_options(const ServiceConfig& config) {
  return {.file = service_log_path(config.log_file),
          .format = config.log_format,
          .max_bytes = config.log_max_bytes,
          .backup_count = config.log_backup_count};
}

void say_start(const Start& start, const ServiceLogOptions& logs) {
  say_config(start.files, start.notices);
  warn_of_readable_keys(start.effective);
  const std::string& file = start.config().log_file;
  if (!logs.file.empty())
    log_info("log files: ", logs.file, ", beside it access.log and error.log");
  else if (!file.empty() && file != "none")
    log_info("no log files: the folder of ", file,
             " is not there; LOG_FILE=logs/service.log writes them here, none says that they are not wanted");
}

// `run` with the logs that are configured; what it throws stands there, too.
template <typename Run>
std::optional<int> logged(const ServiceConfig& config, const char* who, const Run& run) {
  set_log_level(config.log_level);
  const ServiceLogOptions options = log_options(config);
  const ServiceLog log(options);
  try {
    return run(log, options);
  } catch (const std::exception& error) {
    log_to_files(LogLevel::kError, str("the ", who, " ends: ", error.what()));  // main says it on standard error
    throw;
  }
}

std::optional<int> run_worker(const ServeOptions& options, const std::shared_ptr<const WorkerSeat>& seat) {
  name_worker_in_log(seat->place);
  name_worker_in_request_ids(seat->place);
  ServiceSignals signals;
  ServiceManager manager([](const char*) { return nullptr; });  // its manager is its supervisor, which reads the board
  WorkerOrders orders(seat);
  EffectiveConfig effective = orders.settings();
  const ServiceConfig config = effective.config;
  return logged(config, "worker", [&](const ServiceLog& log, const ServiceLogOptions&) {
    return serve(options, std::move(effective), log, signals, manager, seat, &orders);
  });
}

// Alone, or as a supervisor: the exit status; nothing: to be started anew.
std::optional<int> run_service(const ServeOptions& options) {
  ServiceSignals signals;
  ServiceManager manager([](const char* name) -> const char* { return std::getenv(name); });
  Start start = read_start(options);
  return logged(start.config(), "service", [&](const ServiceLog& log, const ServiceLogOptions& logs) {
    say_start(start, logs);
    place_model(start.effective);
    if (start.config().workers > 1) return supervise(options, std::move(start.effective), log, signals, manager);
    return serve(options, std::move(start.effective), log, signals, manager, nullptr, nullptr);
  });
}

int run_serve(const ServeOptions& options) {
  if (options.check_config) return check_config(options);
  const std::shared_ptr<const WorkerSeat> seat = inherited_seat();
  const std::optional<int> status = seat ? run_worker(options, seat) : run_service(options);
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
