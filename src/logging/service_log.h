// The logs of a running service: service.log, access.log beside it with a line for each request, error.log with what is
// ERROR, and all of it on standard error. From its construction to its end it is the process' log sink.
//
// One thread writes the files, another standard error: neither a full disk nor a reader that stopped holds up a thread
// that has something to say, or the other. A signal that ends the process (SIGSEGV, SIGABRT, …) is a line in error.log,
// after all that was said before.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/log_format.h"
#include "logging/log_stats.h"
#include "logging/log_writer.h"

namespace qwen {

struct ServiceLogOptions {
  std::string file;  // service.log's path; empty: standard error alone
  std::string format = std::string(kDefaultLogFormat);
  uint64_t max_bytes = 0;  // of each file before it is rotated; 0: never
  int backup_count = 0;    // rotated ones that are kept of each
  LogWriter::Bounds queue;
  std::chrono::milliseconds retry{5000};  // of what failed
  int console = 2;                        // the descriptor of standard error
};

class ServiceLog {
 public:
  // Signals that some thread is to wait for must be blocked before. A file that cannot be written is no error: standard
  // error says so, and it is tried again. Errors: those of LogFormat; kOs.
  explicit ServiceLog(const ServiceLogOptions& options);
  // Writes what was said, for at most two seconds. The threads that log have ended by then.
  ~ServiceLog();
  ServiceLog(const ServiceLog&) = delete;
  ServiceLog& operator=(const ServiceLog&) = delete;

  LogStats stats() const;  // any thread

 private:
  class Sink;
  std::shared_ptr<Sink> sink_;
};

// Where service.log goes: where `configured` says, into it if that is a folder, nowhere ("") for "none"; where nothing
// or the deployment guide's /app/logs/service.log is configured, there if that folder exists, else nowhere: files that
// are shipped name it, and a container has it.
std::string service_log_path(const std::string& configured);

}  // namespace qwen
