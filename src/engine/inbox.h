// What other threads tell the engine thread: new requests, that some stream was dropped, that it should stop.
// Invariant: no more than `capacity` requests are between submit and their end; ids ascend in the order of delivery.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/sequence.h"
#include "engine/token_channel.h"

namespace qwen {

// Raised by TokenChannel::cancel without allocating or throwing, seen by the engine before its next step. Outlives the
// engine where a stream does.
class CancelSignal {
 public:
  void raise() noexcept;

 private:
  friend class Inbox;
  std::mutex mutex_;  // the inbox's lock too: one condition variable wakes the engine for everything
  std::condition_variable wake_;
  bool raised_ = false;
};

struct Submission {
  std::unique_ptr<Sequence> sequence;
  std::shared_ptr<TokenChannel> channel;
  std::optional<std::chrono::steady_clock::time_point> deadline, start_by;
};

class Inbox {
 public:
  explicit Inbox(int capacity) : capacity_(capacity) {}

  enum class Refusal { kNone, kFull, kClosed };
  // Gives the sequence its id. kNone: it was accepted.
  Refusal submit(Submission submission) {
    {
      const std::lock_guard lock(signal_->mutex_);
      if (closed_) return Refusal::kClosed;
      if (in_flight_ >= capacity_) return Refusal::kFull;
      submission.sequence->set_id(next_id_);
      submissions_.push_back(std::move(submission));
      ++next_id_;
      ++in_flight_;
    }
    signal_->wake_.notify_one();
    return Refusal::kNone;
  }
  void close();           // refuse from now on, wake the engine
  void request_ended();   // one of the accepted requests is no more
  int in_flight() const;  // accepted and not ended
  const std::shared_ptr<CancelSignal>& cancel_signal() const { return signal_; }

  struct Contents {
    std::vector<Submission> submissions;
    bool cancels = false;  // some channel was cancelled since the last call
    bool closed = false;
  };
  Contents drain();
  // Returns when drain() has something to tell, at the latest after `timeout`.
  void wait(std::chrono::milliseconds timeout);

 private:
  const int capacity_;
  const std::shared_ptr<CancelSignal> signal_ = std::make_shared<CancelSignal>();
  // Guarded by signal_->mutex_:
  std::vector<Submission> submissions_;
  RequestId next_id_ = 1;
  int in_flight_ = 0;
  bool closed_ = false;
};

}  // namespace qwen
