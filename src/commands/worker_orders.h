// What a worker does at its supervisor's word. The word stands on the board; a signal only says that there may be one:
// signals come from anybody, to all processes at once, twice (from each thread of a supervisor that dies), or get lost
// in one that is still to be seen.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

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
  int hurry() const { return seat_->board->hurry(); }  // 0: there is time

 private:
  bool supervisor_has_died() const;

  const std::shared_ptr<const WorkerSeat> seat_;
  uint64_t version_ = 0;  // of the settings
};

}  // namespace qwen
