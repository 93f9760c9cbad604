#include "server/service_monitor.h"

#include "base/cpu_count.h"
#include "base/memory_usage.h"
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

double kv_cache_usage(const EngineStats& stats) {
  return stats.total_blocks == 0
             ? 0
             : static_cast<double>(stats.total_blocks - stats.free_blocks) / static_cast<double>(stats.total_blocks);
}

}  // namespace

ServiceMonitor::ServiceMonitor(const GenerationService& service)
    : service_(service),
      metrics_(service.metrics()),
      requests_(metrics_),
      cpu_(read_process_usage().cpu_seconds, usable_cores()) {
  metrics_.build_info.with({QWEN_VERSION, __VERSION__}).set(1);
  for (const FinishReason reason : {FinishReason::kStop, FinishReason::kLength, FinishReason::kCancelled,
                                    FinishReason::kDeadline, FinishReason::kQueueTimeout, FinishReason::kError})
    metrics_.finished.with({finish_reason_label(reason)});
  for (const ThinkingEnd end : {ThinkingEnd::kNatural, ThinkingEnd::kBudget, ThinkingEnd::kDeadline, ThinkingEnd::kLoop,
                                ThinkingEnd::kClient, ThinkingEnd::kLength})
    metrics_.thoughts.with({thinking_end_name(end)});
  for (const char* result : {"hit", "joined", "miss", "error", "bypass"})
    metrics_.response_cache_requests.with({result});
}

void ServiceMonitor::watch(std::shared_ptr<const ConnectionContext> connections) {
  connections_ = std::move(connections);
  requests_.declare(connections_->routes);
}

std::string ServiceMonitor::scrape() {
  const std::lock_guard lock(scrape_mutex_);
  read_engine();
  read_service();
  read_connections();
  read_cache();
  read_machine();
  return metrics_.registry.text();
}

void ServiceMonitor::read_engine() const {
  const EngineStats stats = service_.stats();
  metrics_.requests_running.set(stats.running);
  metrics_.requests_waiting.set(stats.waiting);
  metrics_.kv_cache_usage.set(kv_cache_usage(stats));
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

std::string ServiceMonitor::stats_json() {
  const RequestTotals totals = requests_.totals();
  const EngineStats engine = service_.stats();
  JsonWriter json;
  json.begin_object();
  json.field("total_requests", totals.total()).field("successful_requests", totals.successful);
  json.field("failed_requests", totals.failed).field("cancelled_requests", totals.cancelled);
  json.key("average_response_time").fixed(totals.mean_seconds(), 4);
  json.key("model_memory_usage").fixed(static_cast<double>(read_process_usage().resident_bytes) / kGib, 3);
  json.key("gpu_utilization").fixed(0.0, 1);
  json.key("uptime_hours").fixed(service_.uptime_seconds() / 3600, 4);
  json.field("requests_running", engine.running).field("requests_waiting", engine.waiting);
  json.key("kv_cache_usage").fixed(kv_cache_usage(engine), 4);
  json.field("prompt_tokens", engine.prompt_tokens).field("generated_tokens", engine.generated_tokens);
  json.key("tokens_per_second").fixed(service_.tokens_per_second(), 2);
  json.key("average_time_to_first_token").fixed(metrics_.time_to_first_token.mean(), 4);
  if (service_.cache() != nullptr) {
    const ResponseCache::Stats cache = service_.cache()->stats();
    const auto count = [&](const char* result) {
      return static_cast<uint64_t>(metrics_.response_cache_requests.with({result}).value());
    };
    json.key("cache").begin_object();
    json.field("hits", count("hit")).field("joined", count("joined")).field("misses", count("miss"));
    json.field("errors", count("error")).field("bypassed", count("bypass"));
    json.field("entries", cache.memory.entries).field("bytes", cache.memory.bytes);
    json.field("evictions", cache.memory.evictions).field("breaker_open", cache.breaker_open);
    json.end_object();
  }
  json.end_object();
  return json.take();
}

}  // namespace qwen
