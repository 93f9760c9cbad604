#include "base/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <thread>

#include "base/cgroup.h"

namespace qwen {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int cores_in_affinity_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return static_cast<int>(std::thread::hardware_concurrency());
  std::set<std::string> cores;  // the list of a core's hardware threads names the core
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string siblings =
        first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

// Cores' worth of time that the tightest of the groups around this process allows; infinite without a quota.
double cgroup_quota() {
  const CgroupFolders groups = cgroup_folders("cpu");
  double cores = std::numeric_limits<double>::infinity(), quota = 0, period = 0;
  const auto apply = [&] {
    if (quota > 0 && period > 0) cores = std::min(cores, quota / period);
  };
  for (const std::string& folder : groups.v2)
    if (std::ifstream file(folder + "/cpu.max"); file >> quota >> period) apply();  // "max" is no number
  for (const std::string& folder : groups.v1) {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
    if (quota_file >> quota && period_file >> period) apply();
  }
  return cores;
}

}  // namespace

int usable_cores() {
  int cores = std::max(cores_in_affinity_mask(), 1);
  const double quota = cgroup_quota();
  if (quota < cores) cores = std::max(static_cast<int>(std::ceil(quota)), 1);
  return cores;
}

}  // namespace qwen
