// What a worker does at its supervisor's word. The word stands on the board; a signal only says that there may be one:
// signals come from anybody, to all processes at once, twice (from each thread of a supervisor that dies), or get lost
// in one that is still to be seen.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "server/config.h"
#include "server/workers/worker_board.h"

namespace qwen {

class WorkerOrders {
 public:
  explicit WorkerOrders(std::shared_ptr<const WorkerSeat> seat) : seat_(std::move(seat)) {}

  // The settings as they are handed over now. Errors: kInternal where there are none.
  EffectiveConfig settings();
  bool settings_changed() const;  // since settings() was last asked

  // The signal as which the service ends, SIGTERM where the supervisor has died, which is said in the log; 0: it goes
  // on. `event`: the signal that rang; one that means nothing is said, too.
  int ending(int event);
  // The signal as which the rest is cut short, 0: there is time. `event`: the last signal that came, 0: none; it counts
  // where nobody is left who could write the word.
  int hurry(int event) const;

 private:
  bool supervisor_has_died() const;

  const std::shared_ptr<const WorkerSeat> seat_;
  uint64_t version_ = 0;  // of the settings
  std::optional<std::chrono::steady_clock::time_point> orphaned_since_;
};

}  // namespace qwen
