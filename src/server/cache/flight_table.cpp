#include "server/cache/flight_table.h"

namespace qwen {
namespace {

// Requests that come together have deadlines in any order.
constexpr std::chrono::seconds kDeadlineSlack{1};

bool ends_in_time(const Flight& flight, const Flight::Deadline& deadline) {
  if (!deadline) return true;
  return flight.deadline && *flight.deadline <= *deadline + kDeadlineSlack;
}

}  // namespace

std::shared_ptr<Flight> FlightTable::join_locked(const std::string& key, const Terms& terms) {
  const auto found = flights_.find(key);
  if (found == flights_.end()) return nullptr;
  const std::shared_ptr<Flight>& flight = found->second;
  if (terms.seed && flight->seed != *terms.seed) return nullptr;
  return ends_in_time(*flight, terms.deadline) && flight->join(terms.reader) ? flight : nullptr;
}

std::shared_ptr<Flight> FlightTable::join(const std::string& key, const Terms& terms) {
  const std::lock_guard lock(mutex_);
  return join_locked(key, terms);
}

FlightTable::Entered FlightTable::enter(const std::string& key, const Terms& terms,
                                        const std::function<CachedAnswerPtr()>& stored,
                                        const std::function<std::shared_ptr<Flight>()>& begin) {
  const std::lock_guard lock(mutex_);
  if (auto flight = join_locked(key, terms)) return {.flight = std::move(flight)};
  if (auto answer = stored()) return {.answer = std::move(answer)};
  auto flight = begin();
  flight->join(terms.reader);
  std::shared_ptr<Flight>& place = flights_[key];
  if (!place || place->over()) place = flight;
  return {.flight = std::move(flight), .leads = true};
}

void FlightTable::remove(const std::string& key, const std::shared_ptr<Flight>& flight) {
  const std::lock_guard lock(mutex_);
  const auto found = flights_.find(key);
  if (found != flights_.end() && found->second == flight) flights_.erase(found);
}

size_t FlightTable::size() const {
  const std::lock_guard lock(mutex_);
  return flights_.size();
}

}  // namespace qwen
