#include "server/process_usage.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace qwen {
namespace {

double since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Field 22 of /proc/self/stat, in ticks after boot. The name in field 2 may hold anything, so counting begins behind
// it.
double seconds_after_boot() {
  std::ifstream file("/proc/self/stat");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return -1;
  size_t at = name_end + 1;
  for (int field = 3; field < 22; ++field) at = line.find(' ', at + 1);
  if (at == std::string::npos) return -1;
  return static_cast<double>(std::strtoull(line.c_str() + at, nullptr, 10)) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double read_start_time() {
  timespec up{};
  const double started = seconds_after_boot();
  if (started < 0 || ::clock_gettime(CLOCK_BOOTTIME, &up) != 0) return 0;
  return since_1970() - (static_cast<double>(up.tv_sec) + static_cast<double>(up.tv_nsec) * 1e-9) + started;
}

uint64_t count_open_fds() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  uint64_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries > 3 ? entries - 3 : 0;  // "." and "..", and the folder itself
}

}  // namespace

ProcessUsage read_process_usage() {
  static const double start_time = read_start_time();  // once: the two clocks drift apart
  ProcessUsage usage;
  usage.start_time = start_time;
  timespec cpu{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
    usage.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream memory("/proc/self/statm");
  if (uint64_t all = 0, resident = 0, shared = 0; memory >> all >> resident >> shared) {
    usage.virtual_bytes = all * page;
    usage.shared_bytes = shared * page;
    usage.resident_bytes = resident * page;
  }
  usage.open_fds = count_open_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) usage.max_fds = limit.rlim_cur;
  return usage;
}

CpuMeter::CpuMeter(double cpu_seconds, int cores, Clock::time_point now)
    : cores_(std::max(cores, 1)), since_(now), cpu_seconds_(cpu_seconds) {}

double CpuMeter::percent(double cpu_seconds, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const double elapsed = std::chrono::duration<double>(now - since_).count();
  if (elapsed < 1) return percent_;
  percent_ = std::clamp(100 * (cpu_seconds - cpu_seconds_) / (elapsed * cores_), 0.0, 100.0);
  since_ = now;
  cpu_seconds_ = cpu_seconds;
  return percent_;
}

}  // namespace qwen
