#include "server/server.h"

#include <malloc.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "server/access_log.h"
#include "server/cache/cache_options.h"
#include "server/handlers/handlers.h"
#include "server/http/certificate_watch.h"
#include "server/http/listener.h"
#include "server/http/worker_messenger.h"
#include "server/self_check.h"
#include "server/service_monitor.h"
#include "server/workers/worker_report.h"

namespace qwen {
namespace {

constexpr size_t kMaxQueuedWork = 2048;
constexpr std::chrono::milliseconds kPoll{10};
constexpr std::chrono::milliseconds kLastWords{2000}, kLastWordsInHurry{1000};  // errors to what did not finish
constexpr std::chrono::milliseconds kPortCloses{1000};                          // at most, where nothing is amiss

int chosen(int asked, int otherwise) { return asked > 0 ? asked : otherwise; }

// Where there are several processes, the first one has the word on whether keys are asked for: settings whose keys were
// emptied meanwhile open nothing in a worker that is started again.
AccessSettings access_settings(const ServiceConfig& config, const WorkerSeat* seat) {
  if (seat && seat->supervisor() && !config.api_keys.empty()) seat->board->require_keys();
  const bool open = config.open_routes != "none";
  return {.keys = config.api_keys,
          .requests_per_minute = config.requests_per_minute,
          .tokens_per_minute = config.tokens_per_minute,
          .page_open = open && config.open_routes.find("page") != std::string::npos,
          .metrics_open = open && config.open_routes.find("metrics") != std::string::npos,
          .keys_required = seat && seat->board->keys_required()};
}

std::shared_ptr<RateStore> rate_store(const std::shared_ptr<const WorkerSeat>& seat) {
  if (!seat) return std::make_shared<ProcessRateStore>();
  return std::make_shared<SharedRateStore>(std::shared_ptr<RateTable>(seat->board, &seat->board->rates()));
}

std::shared_ptr<TlsContext> tls_of(const ServiceConfig& config) {
  if (config.ssl_cert_file.empty()) return nullptr;
  if (config.ssl_pair) return std::make_shared<TlsContext>(*config.ssl_pair);
  return std::make_shared<TlsContext>(config.ssl_cert_file, config.ssl_key_file);
}

// A body of megabytes is many times that while it is parsed. By default the C library learns from the first one to keep
// such memory in each thread's heap for ever after; with the thresholds fixed it goes back to the system.
void give_memory_back() {
  constexpr int kBytes = 256 * 1024;
  ::mallopt(M_MMAP_THRESHOLD, kBytes);
  ::mallopt(M_TRIM_THRESHOLD, kBytes);
}

PortSharing port_sharing(const ServiceConfig& config, const std::shared_ptr<const WorkerSeat>& seat) {
  PortSharing sharing{.opens_late = !config.listen_while_loading};
  if (!seat) return sharing;
  if (seat->supervisor()) {
    sharing.turn = [seat] { return seat->board->anybody_accepts() ? Turn::kNotNow : Turn::kTake; };
    return sharing;
  }
  sharing.inherited_socket = seat->listening_socket;
  sharing.opens_late = true;
  sharing.closes_for_all = false;
  sharing.turn = [seat] { return seat->board->somebody_is_less_busy(seat->place) ? Turn::kAfterAMoment : Turn::kTake; };
  return sharing;
}

// Stopped whatever happens: a task that was queued on a loop may hold the loop itself.
struct IoLoops {
  ~IoLoops() { stop(); }
  void stop() {
    for (const auto& loop : all) loop->stop();
  }
  std::vector<std::shared_ptr<IoLoop>> all;
};

}  // namespace

struct HttpServer::Impl {
  Impl(const ServiceConfig& settings, GenerationService& text_service, const ServiceLog* log,
       std::shared_ptr<const WorkerSeat> own_seat)
      : config(settings),
        service(text_service),
        seat(std::move(own_seat)),
        workers(chosen(settings.text_threads, 2), kMaxQueuedWork),
        monitor(text_service, log, seat),
        access(std::make_shared<AccessControl>(access_settings(config, seat.get()), rate_store(seat))),
        tls(tls_of(config)),
        handler_context{config, service, workers, &monitor, seat ? seat->board.get() : nullptr, running.get()},
        context(new_context(make_routes(handler_context))) {
    monitor.watch(context);
    const bool supervisor = seat && seat->supervisor();  // who computes nothing
    if (cache_enabled(config) && !supervisor) service.enable_cache(response_cache_options(config));
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    for (int i = 0; i < chosen(config.io_threads, std::clamp(cores, 1, 2)); ++i)
      loops.all.push_back(std::make_shared<IoLoop>());
    if (seat && !supervisor) messenger = WorkerMessenger::create(loops.all.front(), seat, running);
    handler_context.messenger = messenger.get();
    context->keeps_alive = !supervisor;  // the next request is a worker's, if there is one by then
    if (seat) context->count.mirror(seat->board->load(seat->place));
    listener = listen("server.port", context, config.port, port_sharing(config, seat));
    port = listener->port();
    if (config.metrics_port == 0 || !config.enable_metrics) return;
    const auto monitoring = new_context(make_monitoring_routes(handler_context));
    metrics_listener = listen("monitoring.metrics_port", monitoring, config.metrics_port, {});
    metrics_port = metrics_listener->port();
  }

  // Errors: kOs, naming also the setting that port or host is from.
  std::unique_ptr<Listener> listen(const char* key, const std::shared_ptr<ConnectionContext>& of, int at,
                                   PortSharing sharing) const {
    try {
      return std::make_unique<Listener>(loops.all, of, config.host, at, std::move(sharing));
    } catch (const Error& error) {
      if (error.param() == "host") key = "server.host";
      const auto origin = config.origins.find(key);
      const std::string name = origin == config.origins.end() ? key : origin->second.name;
      throw Error(error.code(), str(error.what(), " (", name, ")"), error.param());
    }
  }

  std::shared_ptr<ConnectionContext> new_context(RouteTable routes) {
    auto made = std::make_shared<ConnectionContext>();
    made->limits = config.http;
    made->routes = std::move(routes);
    made->access = access;
    made->cors = Cors(config.cors_origins);
    made->proxies = TrustedProxies(config.trusted_proxies);
    made->tls = tls;
    if (tls) made->hsts_max_age = config.ssl_hsts_max_age;
    made->on_request = [this](const AccessRecord& record) {
      monitor.on_request(record);
      write_access_log(record);
    };
    return made;
  }

  template <typename Done>
  static bool wait_until(const Done& done, std::chrono::milliseconds limit, const std::function<bool()>& hurry) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() >= end || (hurry && hurry())) return false;
      std::this_thread::sleep_for(kPoll);
    }
    return true;
  }
  bool wait_until_idle(std::chrono::milliseconds limit, const std::function<bool()>& hurry) const {
    return wait_until([this] { return context->count.open() == 0; }, limit, hurry);
  }

  void accepting(bool now) const {
    if (seat) seat->board->set_accepting(seat->place, now);
  }
  void report_state() const {
    if (report) report->report_state();
  }

  const ServiceConfig config;
  GenerationService& service;
  const std::shared_ptr<const WorkerSeat> seat;  // null: alone
  WorkerPool workers;
  ServiceMonitor monitor;
  const std::shared_ptr<AccessControl> access;
  const std::shared_ptr<TlsContext> tls;  // null: plain HTTP
  const std::shared_ptr<RunningRequests> running = std::make_shared<RunningRequests>();
  std::shared_ptr<WorkerMessenger> messenger;  // null but in a worker
  HandlerContext handler_context;              // complete before there are threads
  std::shared_ptr<ConnectionContext> context;
  IoLoops loops;
  std::unique_ptr<Listener> listener, metrics_listener;  // null once stopped: they may not outlive the loops
  std::optional<SelfCheck> self_check;                   // from start() to stop()
  std::optional<WorkerReport> report;                    // the same, of several processes
  std::optional<CertificateWatch> certificate_watch;     // the same, where there are files of TLS
  int port = 0, metrics_port = 0;
  bool started = false, port_opened = false, port_closed = false, stopped = false;
};

HttpServer::HttpServer(const ServiceConfig& config, GenerationService& service, const ServiceLog* log,
                       std::shared_ptr<const WorkerSeat> seat)
    : impl_(std::make_unique<Impl>(config, service, log, std::move(seat))) {}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

void HttpServer::start() {
  raise_descriptor_limit();
  give_memory_back();
  for (const auto& loop : impl_->loops.all) loop->start();
  impl_->started = true;
  if (impl_->metrics_listener) impl_->metrics_listener->start();
  impl_->self_check.emplace(impl_->service, impl_->config.health_check_interval);
  if (impl_->seat) impl_->report.emplace(*impl_->seat, impl_->service, impl_->monitor);
  if (impl_->tls && !impl_->config.ssl_pair) impl_->certificate_watch.emplace(impl_->tls);
  const bool worker = impl_->seat && !impl_->seat->supervisor();
  if (impl_->access->open() && !worker)
    log_warning("no API keys are configured: whoever reaches ", impl_->config.host, " port ", impl_->port,
                " may use the service (API_KEYS)");
  if (impl_->config.listen_while_loading && !worker) open_port();
}

void HttpServer::open_port() {
  if (std::exchange(impl_->port_opened, true)) return;
  impl_->listener->start();
  impl_->report_state();
  impl_->accepting(true);
}

void HttpServer::reload(const ServiceConfig& config) {
  if (impl_->access->set(access_settings(config, impl_->seat.get())))
    log_error("api_keys is empty now: nobody may use the service until there are keys again; without keys, restart it");
  if (impl_->certificate_watch) impl_->certificate_watch->reload();
  if (!impl_->tls || !config.ssl_pair) return;
  try {
    impl_->tls->use(*config.ssl_pair);
  } catch (const Error& error) {
    log_error("the certificate stays: ", error.what());
  }
}

std::optional<TlsPair> HttpServer::certificate() const {
  if (!impl_->tls) return std::nullopt;
  return impl_->tls->pair();
}
uint64_t HttpServer::certificate_version() const { return impl_->tls ? impl_->tls->version() : 0; }
ServiceFigures HttpServer::figures() { return impl_->monitor.figures(); }

int HttpServer::port() const { return impl_->port; }
int HttpServer::metrics_port() const { return impl_->metrics_port; }
int HttpServer::listening_socket() const { return impl_->listener->socket(); }
void HttpServer::drop_idle() {
  for (const auto& loop : impl_->loops.all) loop->drain();
}
void HttpServer::on_worker_restart() { impl_->monitor.on_restart(); }
int HttpServer::open_connections() const { return impl_->context->count.open(); }

void HttpServer::close_port(std::chrono::milliseconds grace, const std::function<bool()>& hurry) {
  if (!impl_->started || std::exchange(impl_->port_closed, true)) return;
  impl_->service.announce_drain();
  impl_->report_state();
  impl_->context->draining = true;  // each answer ends its connection
  if (impl_->port_opened && grace.count() > 0) impl_->wait_until([] { return false; }, grace, hurry);
  impl_->accepting(false);
  impl_->listener->finish();
  impl_->wait_until([this] { return impl_->listener->closed(); }, kPortCloses, hurry);
  impl_->listener->stop();
}

void HttpServer::stop(std::chrono::milliseconds drain, const std::function<bool()>& hurry) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  if (impl_->started) {
    if (drain.count() > 0) close_port({}, hurry);
    impl_->context->draining = true;
    impl_->accepting(false);
    impl_->listener->stop();
    for (const auto& loop : impl_->loops.all) loop->drain();
    const auto first_requests = std::min(drain, impl_->config.http.drain_first_request);
    if (!impl_->wait_until_idle(first_requests, hurry)) impl_->service.begin_drain();
    if (!impl_->wait_until_idle(drain - first_requests, hurry)) {
      const EngineStats cut = impl_->service.stats();
      impl_->monitor.on_cut(cut.running + cut.waiting);
      impl_->service.shutdown();
      impl_->workers.stop();  // what is still queued there is answered now, while the loops can send it
      impl_->wait_until_idle(hurry && hurry() ? kLastWordsInHurry : kLastWords, {});
    }
  }
  impl_->self_check.reset();
  impl_->certificate_watch.reset();
  impl_->metrics_listener.reset();
  impl_->listener.reset();
  impl_->workers.stop();
  impl_->loops.stop();
  impl_->report.reset();  // with whatever ended only now
}

}  // namespace qwen
