#include "server/memory_usage.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace qwen {
namespace {

// A file of one number; 0 where it is absent or says "max".
uint64_t read_number(const char* path) {
  std::ifstream file(path);
  std::string text;
  uint64_t value = 0;
  if (file >> text) std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

MemoryUsage read_memory_usage() {
  MemoryUsage memory;
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  uint64_t kibibytes = 0;
  while (file >> name >> kibibytes) {
    if (name == "MemTotal:") memory.total_bytes = kibibytes * 1024;
    if (name == "MemAvailable:") memory.available_bytes = kibibytes * 1024;
    std::getline(file, unit);
  }
  const uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
  if (limit > 0 && limit < memory.total_bytes) {
    const uint64_t used = std::min(read_number("/sys/fs/cgroup/memory.current"), limit);
    memory.total_bytes = limit;
    memory.available_bytes = std::min(memory.available_bytes, limit - used);
  }
  return memory;
}

}  // namespace qwen
