// Bytes on their way to a socket: appended at the back, written from the front, one write at a time. Whatever was
// appended meanwhile goes out with the next write.
#pragma once

#include <string>
#include <string_view>

namespace qwen {

class OutputQueue {
 public:
  void append(std::string_view bytes) { queued_ += bytes; }

  bool empty() const { return queued_.empty() && in_flight_.empty(); }
  size_t size() const { return queued_.size() + in_flight_.size() - written_; }  // bytes the socket has not taken yet

  // What to write next; not to be called before consume() has told how much of it was taken.
  std::string_view front() {
    if (in_flight_.empty()) in_flight_.swap(queued_);
    return std::string_view(in_flight_).substr(written_);
  }
  void consume(size_t taken) {
    written_ += taken;
    if (written_ < in_flight_.size()) return;
    in_flight_.clear();
    written_ = 0;
  }

 private:
  std::string queued_, in_flight_;
  size_t written_ = 0;  // of in_flight_
};

}  // namespace qwen
