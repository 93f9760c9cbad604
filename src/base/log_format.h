// How a log line looks: a format string of Python's logging ("%(asctime)s - %(levelname)-8s %(message)s"), or one JSON
// object a line. Knows the fields that a line of this service has; any other is refused where the format is read, never
// where a line is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/log_record.h"

namespace qwen {

inline constexpr std::string_view kDefaultLogFormat = "%(asctime)s - %(name)s - %(levelname)s - %(message)s";
inline constexpr std::string_view kLoggerName = "qwen-thinking";  // %(name)s

// Every line says from here on that it is of this worker process: %(name)s is "qwen-thinking.worker-<worker>", as
// Python names loggers below others, and a JSON object has a "worker". To be said before there are threads.
void name_worker_in_log(int worker);

class LogFormat {
 public:
  // `text`: "json" or Python's. Errors: kConfig, whose message continues "must be …" and names what is wrong.
  explicit LogFormat(std::string_view text = kDefaultLogFormat);

  // Appends the record's line with its line feed. asctime is local time, as Python's; a JSON object's "ts" is UTC.
  void append(std::string& out, const LogRecord& record) const;

  enum class Field {
    kLiteral,
    kAsctime,
    kCreated,
    kLevelName,
    kLevelNumber,
    kMessage,
    kMsecs,
    kName,
    kProcess,
    kThread
  };

 private:
  struct Piece {
    Field field = Field::kLiteral;
    std::string literal;
    char conversion = 's';
    bool left = false, zeros = false;
    int width = 0, precision = -1;
  };
  static Piece parse_field(std::string_view& text);
  static void append_piece(std::string& out, const Piece& piece, const LogRecord& record);

  bool json_ = false;
  std::vector<Piece> pieces_;
};

}  // namespace qwen
