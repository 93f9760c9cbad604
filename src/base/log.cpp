#include "base/log.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <utility>

#include "base/log_format.h"
#include "base/quote.h"

namespace qwen {
namespace {

std::atomic<LogLevel> least_level{LogLevel::kInfo};

// Never destroyed: threads may log to the very end.
struct Sink {
  std::shared_ptr<LogSink> get() {
    const std::lock_guard lock(mutex);
    return current;
  }
  std::mutex mutex;  // guards current; never held while something is written
  std::shared_ptr<LogSink> current;
  std::atomic<LogSink*> for_signals{nullptr};  // the same, for handlers, which must not lock
};
Sink& sink() {
  static Sink& instance = *new Sink;
  return instance;
}

int thread_id() {
  thread_local const int id = static_cast<int>(::syscall(SYS_gettid));  // gettid() is younger than glibc 2.28
  return id;
}

void write_record(LogRecord record) {
  record.thread = thread_id();
  if (const auto current = sink().get()) return current->write(std::move(record));
  static const LogFormat& format = *new LogFormat;
  if (!record.to_console || (record.access && !log_enabled(record.level))) return;
  std::string line;
  format.append(line, record);
  std::fwrite(line.data(), 1, line.size(), stderr);  // one write: stderr has no buffer of its own
}

}  // namespace

void set_log_sink(std::shared_ptr<LogSink> next) {
  Sink& target = sink();
  target.for_signals = next.get();
  const std::lock_guard lock(target.mutex);
  std::swap(target.current, next);
}

void reopen_log() {
  if (const auto current = sink().get()) current->reopen();
}

void flush_log(std::chrono::milliseconds limit) noexcept {
  if (LogSink* const current = sink().for_signals) current->flush(limit);
}

void set_log_level(LogLevel level) { least_level = level; }

bool log_enabled(LogLevel level) { return level >= least_level.load(std::memory_order_relaxed); }

void log_message(LogLevel level, std::string_view message) {
  write_record({.level = level, .message = escape_controls(message)});
}

void log_to_files(LogLevel level, std::string_view message) {
  write_record({.level = level, .to_console = false, .message = escape_controls(message)});
}

void log_access(std::string_view message, std::string members) {
  write_record({.access = true, .message = escape_controls(message), .members = std::move(members)});
}

bool access_wants_members() {
  const auto current = sink().get();
  return current && current->wants_members();
}

}  // namespace qwen
