// The requests of this process that generate, by id, for whoever controls them. A request is here from the moment it is
// read until its answer is complete, its client is gone or it fails. An id may be there twice: a caller chose it so.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/control/control_request.h"
#include "server/control/control_tally.h"

namespace qwen {

class RunningRequest {
 public:
  virtual ~RunningRequest() = default;
  // Any thread; never waits. Says what came of it to `tally`, perhaps later and on another thread; says nothing where
  // it has ended.
  virtual void control(ControlAction action, std::shared_ptr<ControlTally> tally) = 0;
};

class RunningRequests : public std::enable_shared_from_this<RunningRequests> {
 public:
  using Place = std::shared_ptr<void>;  // to let go of at the end

  // `key_name`: of who sent it, empty where no key was asked for.
  Place enter(std::string id, std::string key_name, std::weak_ptr<RunningRequest> request);
  // Passes it on to all that it means, and says whether there are any. Any thread.
  bool control(const ControlRequest& asked, const std::shared_ptr<ControlTally>& tally) const;
  size_t size() const;

 private:
  struct Entry {
    std::string key_name;
    std::weak_ptr<RunningRequest> request;
  };
  mutable std::mutex mutex_;
  std::multimap<std::string, Entry, std::less<>> requests_;  // guarded by mutex_
};

}  // namespace qwen
