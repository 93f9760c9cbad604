// See inbox.h.
#include "engine/inbox.h"

#include <utility>

namespace qwen {

void CancelSignal::raise() noexcept {
  {
    const std::lock_guard lock(mutex_);
    raised_ = true;
  }
  wake_.notify_one();
}

void Inbox::close() {
  {
    const std::lock_guard lock(signal_->mutex_);
    closed_ = true;
  }
  signal_->wake_.notify_one();
}

void Inbox::request_ended() {
  const std::lock_guard lock(signal_->mutex_);
  --in_flight_;
}

int Inbox::in_flight() const {
  const std::lock_guard lock(signal_->mutex_);
  return in_flight_;
}

Inbox::Contents Inbox::drain() {
  const std::lock_guard lock(signal_->mutex_);
  return {std::exchange(submissions_, {}), std::exchange(signal_->raised_, false), closed_};
}

void Inbox::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(signal_->mutex_);
  signal_->wake_.wait_for(lock, timeout, [this] { return !submissions_.empty() || signal_->raised_ || closed_; });
}

}  // namespace qwen
