// Bytes on their way to a socket: appended at the back, written from the front, one write at a time. Whatever was
// appended meanwhile goes out with the next write. Knows whether its reader takes them at a useful rate.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace qwen {

class OutputQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // A reader that takes less than this in each write_stall_timeout holds the bytes longer than anyone waits for them.
  static constexpr size_t kLeastTaken = 64 * 1024;

  void append(std::string_view bytes, TimePoint now) {
    if (empty()) begin_period(now);
    queued_ += bytes;
  }

  bool empty() const { return queued_.empty() && in_flight_.empty(); }
  size_t size() const { return queued_.size() + in_flight_.size() - written_; }  // bytes the socket has not taken yet

  // What to write next; not to be called before consume() has told how much of it was taken.
  std::string_view front() {
    if (in_flight_.empty()) in_flight_.swap(queued_);
    return std::string_view(in_flight_).substr(written_);
  }
  void consume(size_t taken) {
    taken_ += taken;
    written_ += taken;
    if (written_ < in_flight_.size()) return;
    in_flight_.clear();
    written_ = 0;
  }

  // There are bytes, and within `timeout` the reader took next to none of them.
  bool stalled(TimePoint now, std::chrono::milliseconds timeout) {
    if (empty() || now - period_began_ <= timeout) return false;
    const bool too_slow = taken_ < kLeastTaken;
    begin_period(now);
    return too_slow;
  }

 private:
  void begin_period(TimePoint now) {
    period_began_ = now;
    taken_ = 0;
  }

  std::string queued_, in_flight_;
  size_t written_ = 0;  // of in_flight_
  TimePoint period_began_;
  size_t taken_ = 0;  // in this period
};

}  // namespace qwen
