// Standard error as a target of log lines. Writing may wait for its reader for as long as that takes; what cannot be
// written (a closed pipe, a full disk behind it) is dropped and counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/log_format.h"

namespace qwen {

class Console {
 public:
  Console(int descriptor, const std::string& format) : descriptor_(descriptor), format_(format) {}

  void write(const std::vector<LogRecord>& records);  // one thread

  // Any thread.
  bool writable() const { return writable_; }
  uint64_t dropped() const { return dropped_; }
  uint64_t failures() const { return failures_; }

 private:
  bool write_all(std::string_view text) const;

  const int descriptor_;
  const LogFormat format_;
  std::atomic<bool> writable_{true};
  std::atomic<uint64_t> dropped_{0}, failures_{0};
};

}  // namespace qwen
