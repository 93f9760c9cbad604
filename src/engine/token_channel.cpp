// See token_channel.h.
#include "engine/token_channel.h"

#include <exception>
#include <utility>

#include "base/log.h"
#include "engine/inbox.h"

namespace qwen {

TokenChannel::TokenChannel(int prompt_tokens, std::function<void()> on_events,
                           std::shared_ptr<CancelSignal> cancel_signal)
    : prompt_tokens_(prompt_tokens), on_events_(std::move(on_events)), cancel_signal_(std::move(cancel_signal)) {}

void TokenChannel::push(TokenEvent event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
}

void TokenChannel::finish(TokenEvent event, std::string_view error) noexcept {
  const std::lock_guard lock(mutex_);
  last_ = std::move(event);
  last_error_ = error;
  finished_ = true;
}

void TokenChannel::notify() noexcept {
  changed_.notify_one();
  if (!on_events_ || cancelled()) return;
  try {
    on_events_();
  } catch (const std::exception& error) {
    try {
      log_error("a token stream's callback threw: ", error.what());
    } catch (const std::exception&) {  // no memory for the line
    }
  }
}

std::optional<TokenEvent> TokenChannel::next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !events_.empty() || finished_; };
  if (timeout.count() > 0) changed_.wait_for(lock, timeout, ready);
  if (!events_.empty()) {
    TokenEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (last_ && last_->error.empty()) last_->error = last_error_;
  return std::exchange(last_, std::nullopt);
}

void TokenChannel::cancel() noexcept {
  if (!cancelled_.exchange(true, std::memory_order_acq_rel)) cancel_signal_->raise();
}

}  // namespace qwen
