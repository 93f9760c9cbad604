#include "commands/serve_loop.h"

#include <algorithm>
#include <csignal>
#include <optional>

#include "base/log.h"
#include "commands/service_end.h"

namespace qwen {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBetweenLooks{500};     // at files
constexpr milliseconds kOrdersInterval{1000};  // at most, should no signal ring

void say_failure(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log_error("the model could not be loaded, waiting for a change: ", error.what());
  }
}

}  // namespace

ServeLoop::Ending ServeLoop::run(ModelLoading& loading, const std::function<void()>& on_open) {
  ChangeWatch& changes = parts_.changes;
  std::optional<milliseconds> limit = parts_.manager.interval();
  if (changes.watches_files()) limit = std::min(limit.value_or(kBetweenLooks), kBetweenLooks);
  if (parts_.orders != nullptr) limit = kOrdersInterval;
  for (;;) {
    tell_manager();
    const int event = parts_.signals.wait(limit);
    if (event == ServiceSignals::kWoken) {
      const std::exception_ptr failure = loading.failure_after_wake();
      if (failure && !changes.watches_files()) return {.failure = failure};
      if (failure) {
        say_failure(failure);
      } else {
        parts_.server.open_port();
        on_open();
      }
    } else if (parts_.orders != nullptr) {
      if (const int signal = parts_.orders->ending(event); signal != 0) return {.signal = signal};
      if (parts_.orders->settings_changed()) changes.reload("supervisor");
    } else if (event == SIGHUP) {
      parts_.manager.reloading();
      changes.reload();
      parts_.manager.reloaded();
    } else if (event == ServiceSignals::kNothing) {
      if (changes.restart_wanted()) return {.restart = true};
    } else if (event != SIGUSR1) {
      return {.signal = event};
    }
  }
}

int ServeLoop::drain(ModelLoading& loading, int signal) {
  const ServiceConfig& config = parts_.config;
  std::optional<ServiceEnd> end;
  if (parts_.orders == nullptr)
    end.emplace(parts_.server, signal, config.drain_timeout);  // else the supervisor says it
  int second = 0;
  const auto hurry = [&] {
    tell_manager();
    if (second == 0) second = second_signal();
    return second != 0;
  };
  // Whoever is at the terminal needs no time to look elsewhere.
  const bool nobody_to_tell = signal == SIGINT || !parts_.service.model();
  parts_.server.close_port(nobody_to_tell ? std::chrono::seconds(0) : config.drain_grace, hurry);
  parts_.server.stop(config.drain_timeout, hurry);
  loading.stop();
  parts_.service.shutdown();
  if (end) end->say();
  return second == 0 ? 0 : 128 + second;
}

int ServeLoop::second_signal() {
  const int signal = parts_.signals.poll();  // a worker's log files may have to be opened anew
  return parts_.orders != nullptr ? parts_.orders->hurry(signal) : signal;
}

void ServeLoop::tell_manager() const {
  ServiceManager::Condition condition = condition_of(parts_.service);
  condition.alive = parts_.service.makes_progress(parts_.config.engine_watchdog);
  parts_.manager.tell(condition);
}

}  // namespace qwen
