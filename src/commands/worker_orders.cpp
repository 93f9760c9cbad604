#include "commands/worker_orders.h"

#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "base/log.h"
#include "server/workers/settings_handover.h"

namespace qwen {

EffectiveConfig WorkerOrders::settings() {
  const auto handed = seat_->board->settings().read();
  if (!handed) throw Error(ErrorCode::kInternal, "workers: the supervisor has handed over no settings");
  version_ = handed->number;  // also of what cannot be read: it is not tried for ever
  return read_settings(handed->text);
}

bool WorkerOrders::settings_changed() const { return seat_->board->settings().version() != version_; }

// Its children are another process's by the time that they are told.
bool WorkerOrders::supervisor_has_died() const { return ::getppid() != seat_->board->supervisor_process(); }

int WorkerOrders::hurry(int event) const {
  // A supervisor that is killed sends SIGTERM as each of its threads dies.
  constexpr std::chrono::seconds kAllDead{1};
  if (event > 0 && orphaned_since_ && std::chrono::steady_clock::now() - *orphaned_since_ > kAllDead) return event;
  return seat_->board->hurry();
}

int WorkerOrders::ending(int event) {
  if (const int signal = seat_->board->ending(); signal != 0) return signal;
  const pid_t supervisor = seat_->board->supervisor_process();
  if (supervisor_has_died()) {
    log_error("process ", supervisor,
              ", which looked after this worker, has died: this one finishes what runs and ends");
    orphaned_since_ = std::chrono::steady_clock::now();
    return SIGTERM;
  }
  if (event == SIGTERM || event == SIGINT)
    log_info(event == SIGTERM ? "SIGTERM" : "SIGINT", ": ignored; process ", supervisor, " ends the service");
  return 0;
}

}  // namespace qwen
