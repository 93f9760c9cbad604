// A text in memory that processes share: one of them writes it, any reads it, and nobody ever waits for another.
// Invariant: what is read is what was written as a whole, also where the writer is killed in the middle: of two buffers
// one is written while the other one is what is read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace qwen {

class SharedText {  // of zeros: never written
 public:
  static constexpr size_t kMostBytes = size_t{4} << 20;  // only pages that are written to take memory

  // The parts one after the other. One writer at a time. False where they are too large: nothing changes.
  bool write(std::initializer_list<std::string_view> parts);

  struct Version {
    uint64_t number = 0;
    std::string text;
  };
  std::optional<Version> read() const;  // nothing: never written, or written faster than read
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  struct Buffer {
    std::atomic<size_t> size;
    char text[kMostBytes];
  };
  std::atomic<uint64_t> version_;  // buffer version % 2 is what is read; 0 = never written
  mutable Buffer buffers_[2];
};

}  // namespace qwen
