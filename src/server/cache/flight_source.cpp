#include "server/cache/flight_source.h"

#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace qwen {

FlightSource::FlightSource(std::shared_ptr<ResponseCache> cache, CacheAsk ask, Flight::OnEvents reader,
                           std::shared_ptr<Flight> flight, bool leads)
    : cache_(std::move(cache)),
      ask_(std::move(ask)),
      reader_(std::move(reader)),
      flight_(std::move(flight)),
      leads_(leads) {}

FlightSource::~FlightSource() { leave(); }

void FlightSource::leave() {
  if (!flight_) return;
  if (flight_->leave(reader_)) cache_->flights_.remove(ask_.key, flight_);
  flight_.reset();
}

std::optional<TokenEvent> FlightSource::next(std::chrono::milliseconds timeout) {
  if (ended_ || turn_.over(ask_.on_events)) return std::nullopt;
  std::optional<TokenEvent> event;
  if (flight_) event = flight_->event(cursor_, timeout);
  while (event && flight_ && fails_me(*event)) {
    event = begin_anew(*event);
    if (event) break;
    if (flight_) event = flight_->event(cursor_, timeout);
  }
  if (!event && stored_ && cursor_ < stored_->num_events()) event = stored_->event(cursor_);
  if (!event && !leads_ && ask_.deadline && Flight::Clock::now() >= *ask_.deadline)
    event = TokenEvent{.finish_reason = FinishReason::kDeadline};
  if (!event) {
    turn_.paused();
    return std::nullopt;
  }
  turn_.given();
  ++cursor_;
  ended_ = event->finish_reason != FinishReason::kNone;
  return event;
}

// Enough of it to get as far as the flight did.
bool FlightSource::time_to_begin_anew() const {
  const auto now = Flight::Clock::now();
  return !ask_.deadline || *ask_.deadline - now > now - flight_->started;
}

bool FlightSource::fails_me(const TokenEvent& event) {
  if (leads_ || flight_->shaped()) return false;  // nobody else computes what its clients made of it
  switch (event.finish_reason) {
    case FinishReason::kError:
      return !retried_;
    case FinishReason::kQueueTimeout:
      return true;
    case FinishReason::kDeadline:
      return time_to_begin_anew();
    case FinishReason::kCancelled:  // the service stops
      return false;
    default:
      break;
  }
  // Somebody else's deadline shapes the tokens from here on.
  if (stays_ || flight_->thinking_end() != ThinkingEnd::kDeadline) return false;
  stays_ = !time_to_begin_anew();
  return !stays_;
}

std::optional<TokenEvent> FlightSource::begin_anew(const TokenEvent& failure) {
  const bool error = failure.finish_reason == FinishReason::kError;
  retried_ = retried_ || error;
  const std::shared_ptr<Flight> failed = flight_;
  cache_->flights_.remove(ask_.key, failed);  // or it would be joined again
  leave();
  std::unique_lock lock(failed->retry_mutex, std::defer_lock);
  if (error) {
    lock.lock();
    if (failed->retry && failed->retry->failed()) return failure;
    if (failed->retry && failed->retry->join(reader_)) {
      flight_ = failed->retry;
      return std::nullopt;
    }
  }
  try {
    const bool any_draw = ask_.seed_chosen || cursor_ == 0;
    FlightTable::Entered entered =
        cache_->enter(ask_, reader_, any_draw ? std::nullopt : std::optional<uint64_t>(failed->seed));
    flight_ = std::move(entered.flight);
    stored_ = std::move(entered.answer);
    leads_ = entered.leads;
  } catch (const Error& refusal) {
    if (refusal.code() == ErrorCode::kOverloaded) return TokenEvent{.finish_reason = FinishReason::kQueueTimeout};
    if (refusal.code() == ErrorCode::kDraining) return TokenEvent{.finish_reason = FinishReason::kCancelled};
    return TokenEvent{.finish_reason = FinishReason::kError, .error = refusal.what()};
  }
  if (error) failed->retry = flight_;
  return std::nullopt;
}

int FlightSource::cached_tokens() const { return leads_ && flight_ ? flight_->cached_tokens() : ask_.prompt_tokens; }

ThinkingEnd FlightSource::thinking_end() const {
  if (flight_) return flight_->thinking_end();
  return stored_ ? stored_->thinking_end : ThinkingEnd::kNone;
}

ThoughtFinish FlightSource::finish_thought() {
  return flight_ ? flight_->finish_thought(reader_) : ThoughtFinish::kNoThought;
}

void FlightSource::complete(FinishReason reason) {
  if (!flight_) return;
  const ThinkingEnd end = flight_->thinking_end();  // what a clock or a client ended is nobody else's answer
  if (end == ThinkingEnd::kDeadline || end == ThinkingEnd::kClient || !flight_->settle(reason)) return;
  try {
    // Stored before the flight can no longer be joined: an equal request finds the one or the other.
    if (ask_.store)
      if (auto answer = flight_->answer(cursor_, reason)) cache_->store(ask_.key, std::move(answer));
  } catch (const std::exception& error) {  // no memory for it: the answer itself is there
    log_warning("response cache: an answer is not kept: ", error.what());
  }
  cache_->flights_.remove(ask_.key, flight_);
}

}  // namespace qwen
