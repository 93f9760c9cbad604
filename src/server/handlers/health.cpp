// GET /health, /livez, /readyz: answered on the I/O thread itself, without waiting for anything, also while the model
// loads.
#include <ctime>

#include "base/memory_usage.h"
#include "server/api/json_writer.h"
#include "server/handlers/handlers.h"
#include "server/workers/worker_board.h"

namespace qwen {
namespace {

constexpr int kRetrySeconds = 5;

std::string utc_timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Response answer(bool ok, std::string body) {
  Response response{.status = ok ? 200 : 503, .body = std::move(body)};
  response.headers.push_back({"Cache-Control", "no-store"});
  if (!ok) response.headers.push_back({"Retry-After", std::to_string(kRetrySeconds)});
  return response;
}

void write_memory(JsonWriter& json) {
  constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
  const MemoryUsage memory = read_memory_usage();
  const double total = static_cast<double>(memory.total_bytes), available = static_cast<double>(memory.available_bytes);
  json.begin_object();
  json.key("total_gb").fixed(total / kGib, 2).key("used_gb").fixed((total - available) / kGib, 2);
  json.key("available_gb").fixed(available / kGib, 2);
  json.key("percent").fixed(total > 0 ? 100.0 * (total - available) / total : 0.0, 1);
  json.key("gpu_used_gb").fixed(0.0, 1);
  json.end_object();
}

void write_workers(JsonWriter& json, const WorkerBoard& processes) {
  json.key("workers").begin_object();
  json.field("configured", processes.workers()).field("ready", processes.count(WorkerState::kReady));
  json.end_object();
}

}  // namespace

Handler health_handler(const HandlerContext& context) {
  return [&context](Request, ResponderPtr responder) {
    const GenerationService& service = context.service;
    const ServiceState state = service.state();
    JsonWriter json;
    json.begin_object();
    json.field("status", service_state_name(state)).field("timestamp", utc_timestamp());
    const bool loaded = service.model() != nullptr || state == ServiceState::kReady;  // a worker's, asked elsewhere
    json.field("model_loaded", loaded).field("gpu_available", false);
    json.key("memory_usage");
    write_memory(json);
    json.key("uptime_seconds").fixed(service.uptime_seconds(), 3);
    json.field("version", QWEN_VERSION);
    if (state == ServiceState::kLoading) json.key("progress").fixed(service.progress(), 4);
    if (context.processes) write_workers(json, *context.processes);
    json.end_object();
    responder->send(answer(state == ServiceState::kReady, json.take()));
  };
}

Handler live_handler(const HandlerContext& context) {
  return [&context](Request, ResponderPtr responder) {
    const bool alive = context.service.makes_progress(context.config.engine_watchdog);
    JsonWriter json;
    json.begin_object().field("status", alive ? "alive" : "stalled").end_object();
    responder->send(answer(alive, json.take()));
  };
}

Handler ready_handler(const HandlerContext& context) {
  return [&context](Request, ResponderPtr responder) {
    const ServiceState state = context.service.state();
    const bool ready = state == ServiceState::kReady;
    JsonWriter json;
    json.begin_object().field("status", ready ? "ready" : service_state_name(state));
    if (state == ServiceState::kLoading) json.key("progress").fixed(context.service.progress(), 4);
    json.end_object();
    responder->send(answer(ready, json.take()));
  };
}

}  // namespace qwen
