// What a service manager (systemd, by sd_notify(3)'s protocol) is told: ready, how far loading is, reloading, stopping,
// and that the service makes progress. Without NOTIFY_SOCKET in the environment nothing happens.
// The protocol is a datagram with lines NAME=value: no library is needed for it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "server/generation_service.h"

namespace qwen {

class ServiceManager {
 public:
  using Clock = std::chrono::steady_clock;

  // `lookup` is getenv or a test's stand-in.
  explicit ServiceManager(const std::function<const char*(const char*)>& lookup);
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  struct Condition {
    enum class Phase { kLoading, kReady, kStopping, kUnhealthy };
    Phase phase = Phase::kLoading;
    double progress = 0;      // of loading, 0…1
    bool alive = true;        // what does the work makes progress; false: the watchdog is left to bite
    std::string description;  // for people; empty = the phase
  };
  // To be called at least every interval(), as often as one likes. Says what has changed, and what has to be repeated.
  void tell(const Condition& condition, Clock::time_point now = Clock::now());
  // Before and after the configuration is read again.
  void reloading();
  void reloaded();

  // Nothing: nobody listens.
  std::optional<std::chrono::milliseconds> interval() const;

 private:
  void send(std::string_view message) const;

  std::string address_;  // of a Unix socket; empty = nobody listens
  int socket_ = -1;
  std::optional<std::chrono::microseconds> watchdog_;
  bool ready_ = false, stopping_ = false;
  std::string status_;
  double progress_ = -1;
  Clock::time_point advanced_, extended_, fed_;  // loading went on; told to wait; told to be alive
};

// What the service says about itself; `alive` and the description are the caller's to add.
ServiceManager::Condition condition_of(const GenerationService& service);

}  // namespace qwen
