// See bench_machine.h.
#include "commands/bench_machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>

namespace qwen {

std::string cpu_model(const std::string& root) {
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char text[32] = {};
  if (gmtime_r(&now, &utc) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

int64_t peak_resident_bytes() {
  rusage usage{};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} * 1024 : 0;
}

ProcessorTime processor_time() {
  std::ifstream file("/proc/stat");
  std::string label;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  rusage usage{};
  if (!(file >> label >> user >> nice >> system >> idle >> wait >> irq >> softirq >> steal) ||
      ::getrusage(RUSAGE_SELF, &usage) != 0)
    return {};
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double busy = user + nice + system + irq + softirq + steal;
  return {(busy + idle + wait) / ticks, busy / ticks, seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

double other_load(const ProcessorTime& before, const ProcessorTime& after) {
  const double elapsed = after.elapsed - before.elapsed;
  const double others = after.busy - before.busy - (after.own - before.own);
  return elapsed > 0 ? std::clamp(others / elapsed, 0.0, 1.0) : 0;
}

}  // namespace qwen
