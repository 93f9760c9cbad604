// A look at the service's own state every monitoring.health_check_interval, as one log line with the memory figures:
// "self-check: healthy, memory 39.1 % used (12.5 of 32.0 GiB), …". An engine that makes no progress is an ERROR, memory
// that is nearly full a WARNING.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/memory_usage.h"
#include "server/generation_service.h"
#include "server/process_usage.h"

namespace qwen {

struct SelfCheckLine {
  LogLevel level;
  std::string text;
};
SelfCheckLine self_check_line(ServiceState state, const EngineStats& engine, const MemoryUsage& memory,
                              const ProcessUsage& process);

class SelfCheck {
 public:
  // The first look comes after one interval; 0 = none ever. `service` must outlive it.
  SelfCheck(const GenerationService& service, std::chrono::seconds interval);
  ~SelfCheck();
  SelfCheck(const SelfCheck&) = delete;
  SelfCheck& operator=(const SelfCheck&) = delete;

 private:
  void run(const GenerationService& service, std::chrono::seconds interval);

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace qwen
