#include "server/config/value_text.h"

#include <filesystem>

#include "base/log_format.h"

namespace qwen {
namespace {

std::string upper(const std::string& text) {
  std::string result = text;
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  return result;
}

template <typename Number>
std::string shortest(Number value) {
  char text[64];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return error == std::errc() ? std::string(text, end) : str(value);
}

constexpr size_t kMinLogBytes = 4096;

}  // namespace

bool parse_bool(const std::string& text) {
  const std::string word = upper(text);
  if (word == "1" || word == "TRUE" || word == "YES" || word == "ON") return true;
  if (word == "0" || word == "FALSE" || word == "NO" || word == "OFF") return false;
  throw Disallowed{"true or false"};
}

size_t parse_bytes(const std::string& text) {
  static constexpr uint64_t kMax = uint64_t{1} << 50;
  const char* const end = text.data() + text.size();
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  int shift = -1;
  if (unit.empty() || unit == "B") shift = 0;
  if (unit == "K" || unit == "KB" || unit == "KiB") shift = 10;
  if (unit == "M" || unit == "MB" || unit == "MiB") shift = 20;
  if (unit == "G" || unit == "GB" || unit == "GiB") shift = 30;
  if (error != std::errc() || shift < 0 || value > kMax >> shift)
    throw Disallowed{"a size such as 512MiB or 8GiB, at most 1024 TiB"};
  return static_cast<size_t>(value << shift);
}

LogLevel parse_log_level(const std::string& text) {
  const std::string word = upper(text);
  if (word == "DEBUG") return LogLevel::kDebug;
  if (word == "INFO") return LogLevel::kInfo;
  if (word == "WARNING" || word == "WARN") return LogLevel::kWarning;
  if (word == "ERROR" || word == "CRITICAL") return LogLevel::kError;
  throw Disallowed{"one of DEBUG, INFO, WARNING, ERROR, CRITICAL"};
}

std::string parse_log_format(const std::string& text) {
  try {
    const LogFormat checked(text);
  } catch (const Error& error) {
    throw Disallowed{error.what()};
  }
  return text;
}

std::string parse_log_file(const std::string& text) {
  const std::string name = std::filesystem::path(text).filename().string();
  const bool device = text.compare(0, 5, "/dev/") == 0 || text.compare(0, 6, "/proc/") == 0;
  if (name.empty() || name == "." || name == ".." || name == "access.log" || name == "error.log" || device)
    throw Disallowed{
        "the path of the service log, a file beside which access.log and error.log have room, or none "
        "(standard error has all lines anyway)"};
  return text;
}

std::vector<std::string> parse_list(const std::string& text, bool (*good)(std::string_view), const char* each) {
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(", ", at), text.size());
    if (const std::string one = text.substr(at, end - at); !one.empty()) {
      if (!good(one)) throw Disallowed{str("a list of ", each)};
      list.push_back(one);
    }
    at = end + 1;
  }
  return list;
}

std::string to_text(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& one : list) text.append(text.empty() ? "" : ",").append(one);
  return text;
}

size_t parse_log_size(const std::string& text) {
  const size_t bytes = parse_bytes(text);
  if (bytes > 0 && bytes < kMinLogBytes) throw Disallowed{str("0, or a size of at least ", kMinLogBytes, " bytes")};
  return bytes;
}

std::string to_text(double value) { return shortest(value); }
std::string to_text(float value) { return shortest(value); }

std::string to_text(LogLevel level) { return level_name(level); }

}  // namespace qwen
