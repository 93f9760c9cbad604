#include "commands/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "base/error.h"

namespace qwen {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr seconds kTell{1};
// Loading gets this much more time whenever it has advanced, so that a slow disk is waited for and a hanging load is
// not: the largest file's share is read in minutes, and the KV cache is made in seconds.
constexpr seconds kExtension{120}, kExtendEvery{10}, kLoadingMayPause{300};

std::optional<long long> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  long long value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value <= 0) return std::nullopt;
  return value;
}

std::string describe(const ServiceManager::Condition& condition) {
  using Phase = ServiceManager::Condition::Phase;
  if (!condition.description.empty()) return condition.description;
  switch (condition.phase) {
    case Phase::kLoading:
      return str("loading ", static_cast<int>(condition.progress * 100), " %");
    case Phase::kReady:
      return condition.alive ? "ready" : "the engine hangs";
    case Phase::kStopping:
      return "draining";
    case Phase::kUnhealthy:
      break;
  }
  return "unhealthy";
}

}  // namespace

ServiceManager::Condition condition_of(const GenerationService& service) {
  using Phase = ServiceManager::Condition::Phase;
  ServiceManager::Condition condition{.progress = service.progress()};
  switch (service.state()) {
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
  return condition;
}

ServiceManager::ServiceManager(const std::function<const char*(const char*)>& lookup) {
  const char* const address = lookup("NOTIFY_SOCKET");
  if (address == nullptr || (*address != '/' && *address != '@')) return;
  if (std::strlen(address) >= sizeof(sockaddr_un::sun_path)) return;
  address_ = address;
  if (address_[0] == '@') address_[0] = '\0';
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto watched = number(lookup("WATCHDOG_PID"));
  if (watched && *watched != ::getpid()) return;
  if (const auto interval = number(lookup("WATCHDOG_USEC"))) watchdog_ = microseconds(*interval);
}

ServiceManager::~ServiceManager() {
  if (socket_ >= 0) ::close(socket_);
}

std::optional<std::chrono::milliseconds> ServiceManager::interval() const {
  using std::chrono::milliseconds;
  if (socket_ < 0) return std::nullopt;
  const milliseconds usual = kTell;
  if (!watchdog_) return usual;
  return std::clamp(std::chrono::duration_cast<milliseconds>(*watchdog_ / 4), milliseconds(10), usual);
}

void ServiceManager::tell(const Condition& condition, Clock::time_point now) {
  if (socket_ < 0) return;
  using Phase = Condition::Phase;
  std::string message;
  if (condition.phase == Phase::kReady && !std::exchange(ready_, true)) message += "READY=1\n";
  if (condition.phase == Phase::kStopping && !std::exchange(stopping_, true)) message += "STOPPING=1\n";
  if (const std::string status = describe(condition); status != status_) {
    status_ = status;
    message += "STATUS=" + status + '\n';
  }
  if (condition.phase == Phase::kLoading && !ready_) {
    if (condition.progress > progress_) {
      progress_ = condition.progress;
      advanced_ = now;
    }
    if (now - advanced_ < kLoadingMayPause && now - extended_ >= kExtendEvery) {
      extended_ = now;
      message += str("EXTEND_TIMEOUT_USEC=", microseconds(kExtension).count(), '\n');
    }
  }
  if (watchdog_ && condition.alive && now - fed_ >= *watchdog_ / 5) {
    fed_ = now;
    message += "WATCHDOG=1\n";
  }
  if (!message.empty()) send(message);
}

void ServiceManager::reloading() {
  if (socket_ < 0 || !ready_) return;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send(str("RELOADING=1\nMONOTONIC_USEC=", int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000, '\n'));
}

void ServiceManager::reloaded() {
  if (ready_) send("READY=1\n");
}

// A manager that does not read must not stop the service.
void ServiceManager::send(std::string_view message) const {
  if (socket_ < 0) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  [[maybe_unused]] const ssize_t sent = ::sendto(socket_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                                 reinterpret_cast<const sockaddr*>(&to), size);
}

}  // namespace qwen
