#include "server/service_monitor.h"

#include "base/cpu_count.h"
#include "base/log.h"
#include "base/memory_usage.h"
#include "logging/service_log.h"
#include "metrics/metrics.h"
#include "server/api/json_writer.h"
#include "server/cache/response_cache.h"

namespace qwen {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

double seconds_since_1970(std::chrono::steady_clock::time_point time) {
  const auto ago = std::chrono::steady_clock::now() - time;
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch() - ago).count();
}

double kv_cache_usage(int used, int total) {
  return total == 0 ? 0 : static_cast<double>(used) / static_cast<double>(total);
}

}  // namespace

ServiceMonitor::ServiceMonitor(const GenerationService& service, const ServiceLog* log,
                               std::shared_ptr<const WorkerSeat> seat)
    : service_(service),
      log_(log),
      metrics_(service.metrics()),
      seat_(std::move(seat)),
      requests_(metrics_),
      cpu_(read_process_usage().cpu_seconds, usable_cores()) {
  metrics_.build_info.with({QWEN_VERSION, __VERSION__}).set(1);
  for (const FinishReason reason : {FinishReason::kStop, FinishReason::kLength, FinishReason::kCancelled,
                                    FinishReason::kDeadline, FinishReason::kQueueTimeout, FinishReason::kError})
    metrics_.finished.with({finish_reason_label(reason)});
  for (const ThinkingEnd end : {ThinkingEnd::kNatural, ThinkingEnd::kBudget, ThinkingEnd::kDeadline, ThinkingEnd::kLoop,
                                ThinkingEnd::kClient, ThinkingEnd::kLength})
    metrics_.thoughts.with({thinking_end_name(end)});
  if (seat_ && seat_->supervisor()) metrics_.worker_restarts.with({});
  for (const char* result : {"hit", "joined", "miss", "error", "bypass"})
    metrics_.response_cache_requests.with({result});
}

void ServiceMonitor::watch(std::shared_ptr<const ConnectionContext> connections) {
  connections_ = std::move(connections);
  requests_.declare(connections_->routes);
}

std::string ServiceMonitor::scrape() { return whole().metrics; }

void ServiceMonitor::on_restart() const { metrics_.worker_restarts.with({}).add(); }

// What is told is always what was published: another process, asked a moment later, must not say less.
ServiceSnapshot ServiceMonitor::whole() {
  if (seat_) {
    publish();
    return seat_->board->total();
  }
  const std::lock_guard lock(scrape_mutex_);
  return read();
}

void ServiceMonitor::publish() {
  if (!seat_) return;
  const std::lock_guard lock(scrape_mutex_);
  if (!seat_->board->publish(seat_->place, read()) && !std::exchange(too_large_, true))
    log_error("this process has more metrics than it can tell the others");
}

ServiceSnapshot ServiceMonitor::read() {
  read_engine();
  read_service();
  read_connections();
  read_cache();
  read_machine();
  read_logs();
  const RequestTotals totals = requests_.totals();
  const EngineStats engine = service_.stats();
  const ProcessUsage process = read_process_usage();
  ServiceSnapshot snapshot{.metrics = metrics_.registry.text()};
  ServiceFigures& figures = snapshot.figures;
  figures.successful = totals.successful;
  figures.failed = totals.failed;
  figures.cancelled = totals.cancelled;
  figures.cut = cut_;
  figures.successful_seconds = totals.successful_seconds;
  figures.prompt_tokens = static_cast<double>(engine.prompt_tokens);
  figures.generated_tokens = static_cast<double>(engine.generated_tokens);
  figures.first_tokens = static_cast<double>(metrics_.time_to_first_token.count());
  figures.first_token_seconds = metrics_.time_to_first_token.mean() * figures.first_tokens;
  figures.running = engine.running;
  figures.waiting = engine.waiting;
  figures.used_blocks = engine.total_blocks - engine.free_blocks;
  figures.total_blocks = engine.total_blocks;
  figures.tokens_per_second = service_.tokens_per_second();
  figures.cache = cache_figures();
  figures.shared_bytes = process.shared_bytes;
  figures.own_bytes = process.resident_bytes - std::min(process.shared_bytes, process.resident_bytes);
  return snapshot;
}

void ServiceMonitor::read_engine() const {
  const EngineStats stats = service_.stats();
  metrics_.requests_running.set(stats.running);
  metrics_.requests_waiting.set(stats.waiting);
  metrics_.kv_cache_usage.set(kv_cache_usage(stats.total_blocks - stats.free_blocks, stats.total_blocks));
  metrics_.kv_blocks.with({"used"}).set(stats.total_blocks - stats.free_blocks);
  metrics_.kv_blocks.with({"free"}).set(stats.free_blocks);
  metrics_.preemptions.follow(static_cast<double>(stats.preemptions));
  metrics_.prompt_tokens_computed.follow(static_cast<double>(stats.prompt_tokens));
  metrics_.generated_tokens.follow(static_cast<double>(stats.generated_tokens));
  metrics_.engine_errors.with({"step"}).follow(static_cast<double>(stats.failed_steps));
  metrics_.engine_errors.with({"fatal"}).follow(stats.healthy ? 0 : 1);
}

void ServiceMonitor::read_service() const {
  const ServiceState now = service_.state();
  for (const ServiceState state :
       {ServiceState::kLoading, ServiceState::kReady, ServiceState::kDraining, ServiceState::kUnhealthy})
    metrics_.state.with({service_state_name(state)}).set(state == now ? 1 : 0);
  if (seat_ && seat_->supervisor())
    for (const WorkerState state : {WorkerState::kDown, WorkerState::kLoading, WorkerState::kReady,
                                    WorkerState::kDraining, WorkerState::kUnhealthy})
      metrics_.workers.with({worker_state_name(state)}).set(seat_->board->count(state));
  const auto model = service_.model();
  if (!model) return;
  metrics_.engine_heartbeat.with({}).set(seconds_since_1970(model->engine->stats().heartbeat));
  const ModelInfo& info = model->info;
  metrics_.model_info
      .with({info.name, info.dtype, info.quantization, std::to_string(info.context_length), info.device, info.kernels})
      .set(1);
}

void ServiceMonitor::read_connections() const {
  if (!connections_) return;
  metrics_.connections_open.set(connections_->count.open());
  metrics_.streams_open.set(connections_->streams_open);
  if (!connections_->tls) return;
  metrics_.certificate_expiry.with({}).set(static_cast<double>(connections_->tls->expires()));
  metrics_.failed_handshakes.with({}).follow(static_cast<double>(connections_->failed_handshakes));
}

CacheFigures ServiceMonitor::cache_figures() const {
  if (service_.cache() == nullptr) return {};
  const ResponseCache::Stats stats = service_.cache()->stats();
  const auto count = [&](const char* result) {
    return static_cast<uint64_t>(metrics_.response_cache_requests.with({result}).value());
  };
  return {.hits = count("hit"),
          .joined = count("joined"),
          .misses = count("miss"),
          .errors = count("error"),
          .bypassed = count("bypass"),
          .evictions = stats.memory.evictions,
          .caches = 1,
          .breakers_open = stats.breaker_open ? 1 : 0,
          .entries = stats.memory.entries,
          .bytes = stats.memory.bytes};
}

void ServiceMonitor::read_cache() const {
  const ResponseCache::Stats stats = service_.cache() == nullptr ? ResponseCache::Stats{} : service_.cache()->stats();
  metrics_.response_cache_entries.set(static_cast<double>(stats.memory.entries));
  metrics_.response_cache_bytes.set(static_cast<double>(stats.memory.bytes));
  metrics_.response_cache_evictions.follow(static_cast<double>(stats.memory.evictions));
  metrics_.response_cache_breaker_open.set(stats.breaker_open ? 1 : 0);
}

void ServiceMonitor::read_machine() {
  const ProcessUsage process = read_process_usage();
  metrics_.memory_usage_percent.set(read_memory_usage().used_percent());
  metrics_.cpu_usage_percent.set(cpu_.percent(process.cpu_seconds));
  metrics_.process_start_time.set(process.start_time);
  metrics_.process_cpu.follow(process.cpu_seconds);
  metrics_.process_resident_memory.set(static_cast<double>(process.resident_bytes));
  metrics_.process_virtual_memory.set(static_cast<double>(process.virtual_bytes));
  metrics_.process_open_fds.set(static_cast<double>(process.open_fds));
  metrics_.process_max_fds.set(static_cast<double>(process.max_fds));
}

void ServiceMonitor::read_logs() const {
  if (log_ == nullptr) return;
  const LogStats stats = log_->stats();
  for (const LogStats::Said& said : stats.said)
    metrics_.log_messages.with({level_name(said.level)}).follow(static_cast<double>(said.lines));
  for (const LogStats::Target& target : stats.targets) {
    metrics_.log_dropped.with({target.name}).follow(static_cast<double>(target.dropped));
    metrics_.log_failures.with({target.name}).follow(static_cast<double>(target.failures));
    metrics_.log_writable.with({target.name}).set(target.writable ? 1 : 0);
  }
  if (!stats.disk) return;
  metrics_.log_disk_free.with({}).set(static_cast<double>(stats.disk->free_bytes));
  metrics_.log_disk_size.with({}).set(static_cast<double>(stats.disk->size_bytes));
}

std::string ServiceMonitor::stats_json() {
  const ServiceFigures all = whole().figures;
  const RequestTotals requests{all.successful, all.failed, all.cancelled, all.successful_seconds};
  const double uptime = seat_
                            ? std::chrono::duration<double>(WorkerBoard::Clock::now() - seat_->board->started()).count()
                            : service_.uptime_seconds();
  JsonWriter json;
  json.begin_object();
  json.field("total_requests", requests.total()).field("successful_requests", requests.successful);
  json.field("failed_requests", requests.failed).field("cancelled_requests", requests.cancelled);
  json.key("average_response_time").fixed(requests.mean_seconds(), 4);
  json.key("model_memory_usage").fixed(static_cast<double>(all.own_bytes + all.shared_bytes) / kGib, 3);
  json.key("gpu_utilization").fixed(0.0, 1);
  json.key("uptime_hours").fixed(uptime / 3600, 4);
  json.field("requests_running", all.running).field("requests_waiting", all.waiting);
  json.key("kv_cache_usage").fixed(kv_cache_usage(all.used_blocks, all.total_blocks), 4);
  json.field("prompt_tokens", static_cast<uint64_t>(all.prompt_tokens));
  json.field("generated_tokens", static_cast<uint64_t>(all.generated_tokens));
  json.key("tokens_per_second").fixed(all.tokens_per_second, 2);
  json.key("average_time_to_first_token")
      .fixed(all.first_tokens == 0 ? 0.0 : all.first_token_seconds / all.first_tokens, 4);
  if (const CacheFigures& cache = all.cache; cache.caches > 0) {
    json.key("cache").begin_object();
    json.field("hits", cache.hits).field("joined", cache.joined).field("misses", cache.misses);
    json.field("errors", cache.errors).field("bypassed", cache.bypassed);
    json.field("entries", cache.entries).field("bytes", cache.bytes).field("evictions", cache.evictions);
    json.field("breaker_open", cache.breakers_open > 0);
    json.end_object();
  }
  if (seat_)
    json.key("workers")
        .begin_object()
        .field("configured", seat_->board->workers())
        .field("ready", seat_->board->count(WorkerState::kReady))
        .end_object();
  json.end_object();
  return json.take();
}

}  // namespace qwen
