// One line of a log before it is spelled (base/log_format) and written (base/log, logging/service_log).
#pragma once

#include <chrono>
#include <string>

namespace qwen {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

const char* level_name(LogLevel level);  // Python's: "DEBUG", "INFO", "WARNING", "ERROR"

struct LogRecord {
  LogLevel level = LogLevel::kInfo;
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
  int thread = 0;          // the kernel's id of the thread that says it
  bool access = false;     // a request's line: of access.log, not of service.log
  bool to_console = true;  // false: standard output or error says it already
  std::string message;     // one line: control characters are escaped
  std::string members;     // of a JSON object instead of the message, without braces: "\"status\":200"; may be empty
};

}  // namespace qwen
