// The one exception type of the project. Loading, parsing and device calls throw it; it is caught in three places:
// main, the HTTP exception hook and the engine step. Expected outcomes (no free block, cache miss) are bool or
// optional, never an Error.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace qwen {

// Values are the process exit status of a one-shot command (sysexits.h); codes ≥ 200 only ever reach an HTTP client
// (server/api/errors).
enum class ErrorCode {
  kFailed = 1,              // a one-shot command failed
  kUsage = 2,               // wrong flags
  kBadData = 65,            // model or tokenizer data corrupt or unsupported
  kMissingFile = 66,        // model or input file missing
  kDeviceUnavailable = 69,  // device absent or too small
  kInternal = 70,
  kOs = 71,            // bind, memory, threads
  kCannotCreate = 73,  // log, state or output files
  kTemporary = 75,     // transient fatal error: restart me
  kPermission = 77,
  kConfig = 78,         // wrong configuration value
  kInvalidValue = 200,  // a request field has a bad value
  kUnknownField,
  kContextLengthExceeded,
  kNotFound,
  kTooLarge,
  kOverloaded,
  kLoading,
  kDraining,
  kDeadlineExceeded,
};

class Error : public std::runtime_error {
 public:
  // `param` names the request field, flag or key at fault, where there is one.
  Error(ErrorCode code, const std::string& message, std::string param = {})
      : std::runtime_error(message), code_(code), param_(std::move(param)) {}

  ErrorCode code() const { return code_; }
  const std::string& param() const { return param_; }

 private:
  ErrorCode code_;
  std::string param_;
};

// The exit status for a command that ends with this error.
constexpr int exit_status(ErrorCode code) { return static_cast<int>(code) >= 200 ? 1 : static_cast<int>(code); }

// Joins its arguments as a stream would: str("tensor ", name, " has ", n, " rows").
template <typename... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace qwen

// For programmer errors only, never for input.
#define QWEN_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::qwen::check_failed(#condition, __FILE__, __LINE__))
