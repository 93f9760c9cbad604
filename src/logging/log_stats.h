// What the logs of a service know about themselves, for its metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/log_record.h"

namespace qwen {

struct LogStats {
  struct Target {
    std::string_view name;  // "service", "access", "error": the files; "stderr"
    uint64_t dropped = 0;   // lines that are written nowhere there
    uint64_t failures = 0;  // to open, write or rotate it
    bool writable = true;
  };
  struct Disk {
    uint64_t free_bytes = 0, size_bytes = 0;  // free: for this user
  };

  struct Said {
    LogLevel level;
    uint64_t lines;
  };

  std::vector<Said> said;  // every level; requests' lines are of none
  std::vector<Target> targets;
  std::optional<Disk> disk;  // that the files are on; none where there are no files, or nobody could tell
};

}  // namespace qwen
