#include "server/cache/flight.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/error.h"

namespace qwen {

bool is_failure(FinishReason reason) {
  return reason != FinishReason::kNone && reason != FinishReason::kStop && reason != FinishReason::kLength;
}

bool Flight::failed_locked() const { return end_ && is_failure(end_->finish_reason); }

bool Flight::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_locked();
}

bool Flight::join(const OnEvents& reader) {
  const std::lock_guard lock(mutex_);
  if (over_locked()) return false;
  auto readers = std::make_shared<Readers>(*readers_);
  readers->push_back(reader);
  readers_ = std::move(readers);
  return true;
}

bool Flight::over() const {
  const std::lock_guard lock(mutex_);
  return over_locked();
}

bool Flight::leave(const OnEvents& reader) {
  std::optional<EngineTokens> dropped;  // after the lock
  const std::lock_guard lock(mutex_);
  auto readers = std::make_shared<Readers>(*readers_);
  std::erase(*readers, reader);
  std::erase(asked_, reader);
  readers_ = std::move(readers);
  if (!readers_->empty()) {
    if (!asked_.empty()) finish_thought_locked();  // whoever has left may have been the last who had not asked
    return false;
  }
  abandoned_ = true;
  dropped = std::exchange(engine_, std::nullopt);
  return true;
}

void Flight::launch(const ComputeTokens& compute) {
  try {
    EngineTokens engine = compute(seed, [flight = weak_from_this()] {
      if (const auto alive = flight.lock()) alive->pump();
    });
    const std::lock_guard lock(mutex_);
    thought_ = engine.thought;
    if (!abandoned_) engine_.emplace(std::move(engine));
  } catch (const Error& error) {
    const bool full = error.code() == ErrorCode::kOverloaded;
    end({.finish_reason = full ? FinishReason::kQueueTimeout : FinishReason::kError, .error = error.what()});
    throw;
  } catch (...) {
    end({.finish_reason = FinishReason::kError, .error = "the computation could not begin"});
    throw;
  }
  pump();  // what came before the engine's stream was here
}

void Flight::pump() {
  std::shared_ptr<const Readers> readers;
  {
    const std::lock_guard lock(mutex_);
    if (!engine_ || end_) return;
    try {
      while (std::optional<TokenEvent> event = engine_->tokens.poll()) {
        if (event->id >= 0) tokens_.push_back({event->id, event->logprob});
        if (event->finish_reason != FinishReason::kNone) end_ = std::move(*event);
      }
    } catch (const std::bad_alloc&) {  // a token is lost, and with it all that follow
      end_ = TokenEvent{.finish_reason = FinishReason::kError};
    }
    cached_tokens_ = engine_->tokens.cached_tokens();
    readers = readers_;
  }
  changed_.notify_all();
  for (const OnEvents& reader : *readers)
    if (*reader) (*reader)();
}

void Flight::end(TokenEvent last) {
  std::shared_ptr<const Readers> readers;
  {
    const std::lock_guard lock(mutex_);
    end_ = std::move(last);
    readers = readers_;
  }
  changed_.notify_all();
  for (const OnEvents& reader : *readers)
    if (*reader) (*reader)();
}

bool Flight::settle(FinishReason reason) {
  std::optional<EngineTokens> dropped;  // after the lock
  const std::lock_guard lock(mutex_);
  if (!end_) end_ = TokenEvent{.finish_reason = reason};
  dropped = std::exchange(engine_, std::nullopt);
  return !std::exchange(settled_, true);
}

ThoughtFinish Flight::finish_thought(const OnEvents& reader) {
  const std::lock_guard lock(mutex_);
  if (std::find(asked_.begin(), asked_.end(), reader) == asked_.end()) asked_.push_back(reader);
  return finish_thought_locked();
}

ThoughtFinish Flight::finish_thought_locked() {
  if (!engine_ || !engine_->thought || end_) return ThoughtFinish::kNoThought;
  const auto has_asked = [&](const OnEvents& one) {
    return std::find(asked_.begin(), asked_.end(), one) != asked_.end();
  };
  if (!std::all_of(readers_->begin(), readers_->end(), has_asked)) return ThoughtFinish::kShared;
  shaped_ = true;
  return engine_->finish_thought();
}

bool Flight::shaped() const {
  const std::lock_guard lock(mutex_);
  return shaped_;
}

std::optional<TokenEvent> Flight::event(size_t at, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto there = [&] { return at < tokens_.size() || end_.has_value(); };
  if (!there() && timeout.count() > 0) changed_.wait_for(lock, timeout, there);
  if (at < tokens_.size()) {
    const bool last = at + 1 == tokens_.size() && end_ && end_->id >= 0;
    return TokenEvent{.id = tokens_[at].id,
                      .logprob = tokens_[at].logprob,
                      .finish_reason = last ? end_->finish_reason : FinishReason::kNone};
  }
  if (!end_ || at > tokens_.size()) return std::nullopt;
  return TokenEvent{.finish_reason = end_->finish_reason, .error = end_->error};
}

CachedAnswerPtr Flight::answer(size_t count, FinishReason reason) const {
  const std::lock_guard lock(mutex_);
  if (count == 0 || tokens_.empty() || failed_locked() || is_failure(reason)) return nullptr;
  const size_t num_tokens = std::min(count, tokens_.size());
  if (num_tokens > kMaxCachedTokens) return nullptr;
  const bool whole = end_ && num_tokens == tokens_.size();
  auto answer = std::make_shared<CachedAnswer>();
  answer->tokens.assign(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(num_tokens));
  answer->finish_reason = whole ? end_->finish_reason : reason;
  answer->end_has_token = whole && end_->id >= 0;
  answer->thinking_end = closed_by();
  answer->prompt_tokens = prompt_tokens;
  return answer;
}

ThinkingEnd Flight::thinking_end() const {
  const std::lock_guard lock(mutex_);
  return closed_by();
}

int Flight::cached_tokens() const {
  const std::lock_guard lock(mutex_);
  return cached_tokens_;
}

}  // namespace qwen
