// Collects what requests on several threads, or in several processes, say to one control request. Whoever may still
// have something to say holds it; once nobody does, the sum is told: a task that is dropped, or a process that never
// answers, leaves no client without an answer.
#pragma once

#include <functional>
#include <mutex>

#include "server/control/control_request.h"

namespace qwen {

class ControlTally {
 public:
  using Done = std::function<void(const ControlOutcome& sum)>;  // from whichever thread lets go last

  explicit ControlTally(Done done) : done_(std::move(done)) {}
  ~ControlTally();
  ControlTally(const ControlTally&) = delete;
  ControlTally& operator=(const ControlTally&) = delete;

  void add(const ControlOutcome& outcome) {  // any thread
    const std::lock_guard lock(mutex_);
    sum_.add(outcome);
  }

 private:
  const Done done_;
  std::mutex mutex_;
  ControlOutcome sum_;  // guarded by mutex_
};

}  // namespace qwen
