#include "server/self_check.h"

#include <cstdio>

#include "base/error.h"

namespace qwen {
namespace {

constexpr double kNearlyFull = 90;  // percent; where the guide's alert HighMemoryUsage begins

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string gib(uint64_t bytes) { return one_decimal(static_cast<double>(bytes) / (1024.0 * 1024 * 1024)); }

}  // namespace

SelfCheckLine self_check_line(ServiceState state, const EngineStats& engine, const MemoryUsage& memory,
                              const ProcessUsage& process) {
  const double percent = memory.used_percent();
  const int blocks = engine.total_blocks;
  const double kv_percent = blocks == 0 ? 0 : 100.0 * (blocks - engine.free_blocks) / blocks;
  SelfCheckLine line{LogLevel::kInfo, ""};
  if (percent >= kNearlyFull) line.level = LogLevel::kWarning;
  if (state == ServiceState::kUnhealthy) line.level = LogLevel::kError;
  line.text = str("self-check: ", service_state_name(state), ", memory ", one_decimal(percent), " % used (",
                  gib(memory.total_bytes - memory.available_bytes), " of ", gib(memory.total_bytes), " GiB), process ",
                  gib(process.resident_bytes), " GiB, KV cache ", one_decimal(kv_percent), " %, ", engine.running,
                  " running, ", engine.waiting, " waiting");
  return line;
}

SelfCheck::SelfCheck(const GenerationService& service, std::chrono::seconds interval) {
  if (interval.count() > 0) thread_ = std::thread([this, &service, interval] { run(service, interval); });
}

SelfCheck::~SelfCheck() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SelfCheck::run(const GenerationService& service, std::chrono::seconds interval) {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, interval, [this] { return stopping_; })) {
    const SelfCheckLine line =
        self_check_line(service.state(), service.stats(), read_memory_usage(), read_process_usage());
    if (log_enabled(line.level)) log_message(line.level, line.text);
  }
}

}  // namespace qwen
