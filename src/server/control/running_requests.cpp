#include "server/control/running_requests.h"

#include <iterator>
#include <utility>
#include <vector>

namespace qwen {

RunningRequests::Place RunningRequests::enter(std::string id, std::string key_name,
                                              std::weak_ptr<RunningRequest> request) {
  std::multimap<std::string, Entry, std::less<>>::iterator place;
  {
    const std::lock_guard lock(mutex_);
    place = requests_.emplace(std::move(id), Entry{std::move(key_name), std::move(request)});
  }
  return {nullptr, [self = shared_from_this(), place](void*) {
            const std::lock_guard at_end(self->mutex_);
            self->requests_.erase(place);
          }};
}

bool RunningRequests::control(const ControlRequest& asked, const std::shared_ptr<ControlTally>& tally) const {
  std::vector<std::shared_ptr<RunningRequest>> meant;  // called, and perhaps dropped, without the lock
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = requests_.equal_range(asked.id);
    // Or a request might be dropped here, under the lock that the end of its place takes.
    meant.reserve(static_cast<size_t>(std::distance(first, last)));
    for (auto entry = first; entry != last; ++entry) {
      if (!asked.admin && entry->second.key_name != asked.key_name) continue;
      if (auto request = entry->second.request.lock()) meant.push_back(std::move(request));
    }
  }
  for (const auto& request : meant) request->control(asked.action, tally);
  return !meant.empty();
}

size_t RunningRequests::size() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

}  // namespace qwen
