// The buffer between the engine thread (push, notify) and one reader (next, cancel). Holds every event that was not
// read, at most max_tokens, so neither side ever waits for the other. Shared by engine and TokenStream; either may go
// first. The last event has a place of its own: a request can be ended when there is no memory left.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "engine/token_stream.h"

namespace qwen {

class CancelSignal;  // wakes the engine; see inbox.h

class TokenChannel {
 public:
  TokenChannel(int prompt_tokens, std::function<void()> on_events, std::shared_ptr<CancelSignal> cancel_signal);

  // --- The engine.
  void push(TokenEvent event);  // any but the last; std::bad_alloc where it cannot be held
  // The last event, once. `error` takes the place of an empty event.error and must live for ever: a literal.
  void finish(TokenEvent event, std::string_view error = {}) noexcept;
  void notify() noexcept;  // after the events of one step were pushed: wakes the reader, calls on_events
  void set_cached_tokens(int count) { cached_tokens_.store(count, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // --- The reader.
  std::optional<TokenEvent> next(std::chrono::milliseconds timeout);
  void cancel() noexcept;  // the reader wants no more events; without effect after the last one
  int prompt_tokens() const { return prompt_tokens_; }
  int cached_tokens() const { return cached_tokens_.load(std::memory_order_relaxed); }

 private:
  const int prompt_tokens_;
  const std::function<void()> on_events_;
  const std::shared_ptr<CancelSignal> cancel_signal_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<int> cached_tokens_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<TokenEvent> events_;
  std::optional<TokenEvent> last_;  // comes after events_
  std::string_view last_error_;
  bool finished_ = false;  // last_ was set
};

}  // namespace qwen
