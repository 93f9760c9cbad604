#include "base/log_format.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "base/error.h"
#include "base/json_string.h"
#include "base/nearest_name.h"
#include "base/quote.h"
#include "base/utf8.h"

namespace qwen {
namespace {

using Field = LogFormat::Field;

struct FieldName {
  std::string_view name;
  Field field;
  std::string_view conversions;
};
constexpr FieldName kFields[] = {
    {"asctime", Field::kAsctime, "s"},     {"created", Field::kCreated, "fds"},
    {"levelname", Field::kLevelName, "s"}, {"levelno", Field::kLevelNumber, "ds"},
    {"message", Field::kMessage, "s"},     {"msecs", Field::kMsecs, "dfs"},
    {"name", Field::kName, "s"},           {"process", Field::kProcess, "ds"},
    {"thread", Field::kThread, "ds"},
};
constexpr int kMaxWidth = 200;

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorCode::kConfig,
              str("json, or text with %(message)s and any of %(asctime)s, %(levelname)s, %(levelno)d, %(name)s, "
                  "%(process)d, %(thread)d, %(created)f, %(msecs)03d; %% is a percent sign: ",
                  problem));
}

const FieldName& known_field(std::string_view name) {
  std::array<std::string_view, std::size(kFields)> names;
  for (size_t i = 0; i < names.size(); ++i) {
    if (kFields[i].name == name) return kFields[i];
    names[i] = kFields[i].name;
  }
  const auto nearest = nearest_name(name, names);
  refuse(str("there is no field ", quote(name), nearest ? str("; did you mean ", *nearest, "?") : ""));
}

// Of this process; changed before there are threads.
struct Logger {
  std::string name{kLoggerName};
  std::string member;  // of a JSON object
};
Logger& logger() {
  static Logger& instance = *new Logger;  // threads may log to the very end
  return instance;
}

int level_number(LogLevel level) { return 10 * (static_cast<int>(level) + 1); }  // Python's

struct Clock {
  explicit Clock(std::chrono::system_clock::time_point time) {
    const auto since = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
    micros = static_cast<int>((since % 1'000'000 + 1'000'000) % 1'000'000);
    seconds = static_cast<time_t>((since - micros) / 1'000'000);
  }
  std::string local() const {
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    return spelled(parts, "%04d-%02d-%02d %02d:%02d:%02d,%03d");
  }
  std::string utc() const {
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return spelled(parts, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ");
  }

  time_t seconds;
  int micros;

 private:
  std::string spelled(const std::tm& parts, const char* format) const {
    char text[64];
    std::snprintf(text, sizeof text, format, parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                  parts.tm_min, parts.tm_sec, micros / 1000);
    return text;
  }
};

std::string spelled_number(const char* format, int precision, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, precision, value);
  return text;
}

}  // namespace

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      break;
  }
  return "ERROR";
}

void name_worker_in_log(int worker) {
  logger() = {str(kLoggerName, ".worker-", worker), str("\"worker\":", worker, ',')};
}

LogFormat::LogFormat(std::string_view text) {
  json_ = text == "json";
  if (json_) return;
  bool message = false;
  std::string literal;
  while (!text.empty()) {
    if (text[0] != '%' || text.substr(0, 2) == "%%") {
      if (static_cast<unsigned char>(text[0]) < 0x20 && text[0] != '\t')
        refuse("a control character would break lines");
      literal += text[0];
      text.remove_prefix(text[0] == '%' ? 2 : 1);
      continue;
    }
    Piece piece = parse_field(text);
    message = message || piece.field == Field::kMessage;
    pieces_.push_back({.literal = std::exchange(literal, {})});
    pieces_.push_back(std::move(piece));
  }
  pieces_.push_back({.literal = std::move(literal)});
  if (!message) refuse("%(message)s is missing");
}

// %(name)[-0][width][.precision]conversion
LogFormat::Piece LogFormat::parse_field(std::string_view& text) {
  const size_t end = text.find(')');
  if (text.substr(0, 2) != "%(" || end == std::string_view::npos) refuse("a % begins a field, %(name)s");
  const FieldName& known = known_field(text.substr(2, end - 2));
  Piece piece{.field = known.field};
  text.remove_prefix(end + 1);
  for (; !text.empty() && (text[0] == '-' || text[0] == '0'); text.remove_prefix(1))
    (text[0] == '-' ? piece.left : piece.zeros) = true;
  const auto number = [&](int& value) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range || value > kMaxWidth)
      refuse(str("a field is at most ", kMaxWidth, " wide"));
    if (error == std::errc()) text.remove_prefix(static_cast<size_t>(stop - text.data()));
  };
  number(piece.width);
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    piece.precision = 0;
    number(piece.precision);
  }
  if (text.empty() || known.conversions.find(text[0]) == std::string_view::npos)
    refuse(str("%(", known.name, ") ends in one of ", known.conversions));
  piece.conversion = text[0];
  text.remove_prefix(1);
  return piece;
}

void LogFormat::append_piece(std::string& out, const Piece& piece, const LogRecord& record) {
  std::string value;
  switch (piece.field) {
    case Field::kLiteral:
      out += piece.literal;
      return;
    case Field::kMessage:
      value = record.message;
      break;
    case Field::kAsctime:
      value = Clock(record.time).local();
      break;
    case Field::kName:
      value = logger().name;
      break;
    case Field::kLevelName:
      value = level_name(record.level);
      break;
    case Field::kLevelNumber:
      value = std::to_string(level_number(record.level));
      break;
    case Field::kProcess:
      value = std::to_string(::getpid());
      break;
    case Field::kThread:
      value = std::to_string(record.thread);
      break;
    case Field::kCreated:
    case Field::kMsecs: {
      const Clock clock(record.time);
      const bool created = piece.field == Field::kCreated;
      const double number =
          created ? static_cast<double>(clock.seconds) + clock.micros / 1e6 : static_cast<double>(clock.micros) / 1e3;
      const int digits = piece.conversion == 'd' ? 0 : piece.precision < 0 ? 6 : std::min(piece.precision, 6);
      value = spelled_number("%.*f", digits,
                             piece.conversion == 'd' ? static_cast<double>(static_cast<int64_t>(number)) : number);
      break;
    }
  }
  if (piece.conversion == 's' && piece.precision >= 0 && static_cast<size_t>(piece.precision) < value.size())
    value.resize(utf8_complete_prefix(std::string_view(value).substr(0, static_cast<size_t>(piece.precision))));
  const size_t width = static_cast<size_t>(piece.width), missing = width > value.size() ? width - value.size() : 0;
  const bool zeros = piece.zeros && !piece.left && piece.conversion != 's';
  if (!piece.left) out.append(missing, zeros ? '0' : ' ');
  out += value;
  if (piece.left) out.append(missing, ' ');
}

void LogFormat::append(std::string& out, const LogRecord& record) const {
  if (json_) {
    out.append("{\"ts\":\"").append(Clock(record.time).utc()).append("\",\"level\":\"");
    out.append(level_name(record.level)).append("\",\"name\":\"").append(kLoggerName).append("\",");
    out += logger().member;
    if (record.members.empty()) {
      out += "\"msg\":";
      append_json_string(out, record.message);
    } else {
      out += record.members;
    }
    out += "}\n";
    return;
  }
  for (const Piece& piece : pieces_) append_piece(out, piece, record);
  out += '\n';
}

}  // namespace qwen
