// One log file: appended to, rotated by size, opened anew when somebody renamed or removed it. Whatever happens to
// disk, folder or file, append() returns: what could not be written is kept up to a bound, tried again later, and past
// the bound the oldest lines are dropped and counted.
//
// Several processes may write the same file: each write is of whole lines at the file's end (O_APPEND), and of those
// that want to rotate it the one with the lock on the old file does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/log_record.h"

namespace qwen {

struct LogFileOptions {
  std::string path;  // a regular file or none yet; its folder is made where only that is missing
  // Rotated before it would hold more, to path.1, path.2, … path.<backup_count>; either 0: never.
  uint64_t max_bytes = 0;
  int backup_count = 0;
  std::chrono::milliseconds retry{5000};
  size_t max_pending_bytes = 1 << 20;
};

class LogFile {
 public:
  explicit LogFile(LogFileOptions options);

  // One thread; `lines` end in line feeds each. Empty: only what waits is tried again.
  void append(std::string_view lines);
  void reopen();  // at the next append

  // What an operator should know that has happened since the last call: that it failed, that it goes on. Same thread.
  struct News {
    LogLevel level;
    std::string text;  // continues "log PATH: "
  };
  std::optional<News> take_news();
  bool writable() const { return !failing_.load(std::memory_order_relaxed); }      // any thread, as the two below
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }    // lines
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }  // to open, write or rotate

  const std::string& path() const { return options_.path; }

 private:
  using Clock = std::chrono::steady_clock;

  bool prepare();  // false: failed, and said so
  bool open();
  bool still_there() const;
  bool write_some(size_t bytes);
  size_t portion(bool bounded) const;
  enum class Rotation { kDone, kNot, kFailed };  // kNot: the file grows on
  Rotation rotate();
  bool shift_backups();
  void fail(const char* what, int reason);  // reason: errno, or 0
  void trim();

  const LogFileOptions options_;
  FileDescriptor file_;
  uint64_t size_ = 0;      // of the file
  std::string pending_;    // not yet written
  bool mid_line_ = false;  // the last byte written was no line feed
  bool reopen_ = false;
  bool grows_on_ = false;                   // past max_bytes, since it cannot be renamed
  Clock::time_point retry_at_, rotate_at_;  // not before
  uint64_t dropped_before_ = 0;             // the failure that lasts
  std::optional<News> news_;
  std::atomic<bool> failing_{false};
  std::atomic<uint64_t> dropped_{0}, failures_{0};
};

}  // namespace qwen
