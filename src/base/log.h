// Logging, process-wide. Lines go to standard error as they are said until a sink is set (logging/service_log: files,
// asynchronous). No prompt text, unless asked for, and no key is ever logged.
//   log_info("loaded ", n, " tensors");
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log_record.h"

namespace qwen {

// Where records go instead of standard error.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(LogRecord record) = 0;  // from any thread; waits for no disk and no reader
  virtual void reopen() = 0;                 // files that somebody else has renamed are begun anew
  // Waits until what was written before is where it belongs, at most `limit`. Async-signal-safe.
  virtual void flush(std::chrono::milliseconds limit) noexcept = 0;
  virtual bool wants_members() const = 0;  // LogRecord::members
};

void set_log_sink(std::shared_ptr<LogSink> sink);  // null: standard error again
void reopen_log();
// Before the process ends without its destructors; also from a signal's handler. The sink must not be replaced
// meanwhile.
void flush_log(std::chrono::milliseconds limit) noexcept;

void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);
void log_message(LogLevel level, std::string_view message);  // control characters are escaped: one message is one line

// What standard output or error says by itself, for the files of the sink.
void log_to_files(LogLevel level, std::string_view message);

// A request's line: at every level in access.log, from INFO on elsewhere. `members`: of a JSON object, asked for by
// access_wants_members().
void log_access(std::string_view message, std::string members = {});
bool access_wants_members();

template <typename... Parts>
void log_debug(const Parts&... parts) {
  if (log_enabled(LogLevel::kDebug)) log_message(LogLevel::kDebug, str(parts...));
}
template <typename... Parts>
void log_info(const Parts&... parts) {
  if (log_enabled(LogLevel::kInfo)) log_message(LogLevel::kInfo, str(parts...));
}
template <typename... Parts>
void log_warning(const Parts&... parts) {
  if (log_enabled(LogLevel::kWarning)) log_message(LogLevel::kWarning, str(parts...));
}
template <typename... Parts>
void log_error(const Parts&... parts) {
  if (log_enabled(LogLevel::kError)) log_message(LogLevel::kError, str(parts...));
}

}  // namespace qwen
