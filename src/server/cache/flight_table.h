// The computations that are under way, by key, so that equal requests join one. Invariant: a flight in the table has a
// reader. Thread-safe; the lock is not held while the engine is asked.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "server/cache/flight.h"

namespace qwen {

class FlightTable {
 public:
  struct Terms {
    Flight::OnEvents reader;
    Flight::Deadline deadline;     // of the reader: a flight must not last noticeably longer
    std::optional<uint64_t> seed;  // of the flight, where its draws have to be these
  };
  struct Entered {
    std::shared_ptr<Flight> flight;  // null where `answer` is there
    bool leads = false;              // nobody computes it yet: launch() it
    CachedAnswerPtr answer;
  };

  std::shared_ptr<Flight> join(const std::string& key, const Terms& terms);  // null where there is none to join

  // Joins the flight of this key, or takes `stored`'s answer (asked with the lock held, so that what was computed in
  // the meantime is seen), or begins a flight with the reader in it. It is not in the table, for nobody else to join,
  // where one is there already that these terms do not fit.
  Entered enter(const std::string& key, const Terms& terms, const std::function<CachedAnswerPtr()>& stored,
                const std::function<std::shared_ptr<Flight>()>& begin);

  void remove(const std::string& key, const std::shared_ptr<Flight>& flight);  // where it is the one of this key
  size_t size() const;

 private:
  std::shared_ptr<Flight> join_locked(const std::string& key, const Terms& terms);

  mutable std::mutex mutex_;  // guards flights_
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace qwen
