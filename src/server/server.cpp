#include "server/server.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "server/cache/cache_options.h"
#include "server/handlers/handlers.h"
#include "server/http/listener.h"
#include "server/self_check.h"
#include "server/service_monitor.h"

namespace qwen {
namespace {

constexpr size_t kMaxQueuedWork = 2048;
constexpr std::chrono::milliseconds kPoll{10}, kLastWords{2000};  // for the error events of what did not finish

int chosen(int asked, int otherwise) { return asked > 0 ? asked : otherwise; }

void log_access(const AccessRecord& record) {
  log_info(record.method, ' ', record.path, " status ", record.status, record.code.empty() ? "" : " ", record.code,
           " id ", record.request_id, " client ", record.client, " bytes ", record.bytes_out, " response_time ",
           record.seconds);
}

// A connection is a descriptor, and the usual soft limit of 1024 is a leftover of select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A body of megabytes is many times that while it is parsed. By default the C library learns from the first one to keep
// such memory in each thread's heap for ever after; with the thresholds fixed it goes back to the system.
void give_memory_back() {
  constexpr int kBytes = 256 * 1024;
  ::mallopt(M_MMAP_THRESHOLD, kBytes);
  ::mallopt(M_TRIM_THRESHOLD, kBytes);
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
  Impl(const ServiceConfig& settings, GenerationService& text_service)
      : config(settings),
        service(text_service),
        workers(chosen(settings.text_threads, 2), kMaxQueuedWork),
        monitor(text_service),
        handler_context{config, service, workers, &monitor},
        context(new_context(make_routes(handler_context))) {
    monitor.watch(context);
    if (cache_enabled(config)) service.enable_cache(response_cache_options(config));
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    for (int i = 0; i < chosen(config.io_threads, std::clamp(cores, 1, 2)); ++i)
      loops.all.push_back(std::make_shared<IoLoop>());
    listener = std::make_unique<Listener>(loops.all, context, config.host, config.port);
    port = listener->port();
    if (config.metrics_port == 0 || !config.enable_metrics) return;
    const auto monitoring = new_context(make_monitoring_routes(handler_context));
    try {
      metrics_listener = std::make_unique<Listener>(loops.all, monitoring, config.host, config.metrics_port);
    } catch (const Error& error) {
      const auto origin = config.origins.find("monitoring.metrics_port");
      throw Error(error.code(),
                  str(error.what(), "; ", origin == config.origins.end() ? "metrics_port" : origin->second.name,
                      " names this port: give it another, or 0 for no second port"),
                  error.param());
    }
    metrics_port = metrics_listener->port();
  }

  std::shared_ptr<ConnectionContext> new_context(RouteTable routes) {
    auto made = std::make_shared<ConnectionContext>();
    made->limits = config.http;
    made->routes = std::move(routes);
    made->on_request = [this](const AccessRecord& record) {
      monitor.on_request(record);
      log_access(record);
    };
    return made;
  }

  bool wait_until_idle(std::chrono::milliseconds limit, const std::function<bool()>& hurry) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (context->count.open() > 0) {
      if (std::chrono::steady_clock::now() >= end || (hurry && hurry())) return false;
      std::this_thread::sleep_for(kPoll);
    }
    return true;
  }

  const ServiceConfig config;
  GenerationService& service;
  WorkerPool workers;
  ServiceMonitor monitor;
  const HandlerContext handler_context;
  std::shared_ptr<ConnectionContext> context;
  IoLoops loops;
  std::unique_ptr<Listener> listener, metrics_listener;  // null once stopped: they may not outlive the loops
  std::optional<SelfCheck> self_check;                   // from start() to stop()
  int port = 0, metrics_port = 0;
  bool started = false;
  bool stopped = false;
};

HttpServer::HttpServer(const ServiceConfig& config, GenerationService& service)
    : impl_(std::make_unique<Impl>(config, service)) {}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

void HttpServer::start() {
  raise_descriptor_limit();
  give_memory_back();
  for (const auto& loop : impl_->loops.all) loop->start();
  impl_->listener->start();
  if (impl_->metrics_listener) impl_->metrics_listener->start();
  impl_->self_check.emplace(impl_->service, impl_->config.health_check_interval);
  impl_->started = true;
}

int HttpServer::port() const { return impl_->port; }
int HttpServer::metrics_port() const { return impl_->metrics_port; }
int HttpServer::open_connections() const { return impl_->context->count.open(); }

void HttpServer::stop(std::chrono::milliseconds drain, const std::function<bool()>& hurry) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  if (impl_->started) {
    impl_->context->draining = true;
    impl_->service.begin_drain();
    impl_->listener->stop();
    for (const auto& loop : impl_->loops.all) loop->drain();
    if (!impl_->wait_until_idle(drain, hurry)) {
      impl_->service.shutdown();
      impl_->workers.stop();  // what is still queued there is answered now, while the loops can send it
      impl_->wait_until_idle(kLastWords, hurry);
    }
  }
  impl_->self_check.reset();
  impl_->metrics_listener.reset();
  impl_->listener.reset();
  impl_->workers.stop();
  impl_->loops.stop();
}

}  // namespace qwen
