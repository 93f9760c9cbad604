// See memory_usage.h.
#include "base/memory_usage.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include "base/cgroup.h"

namespace qwen {
namespace {

// A file of one number; nothing where it is absent or says "max".
std::optional<uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  uint64_t value = 0;
  if (!(file >> text) || std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
    return std::nullopt;
  return value;
}

// One of a file's lines "name number"; 0 where there is none.
uint64_t read_entry(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  std::string found, rest;
  for (uint64_t value = 0; file >> found >> value; std::getline(file, rest))
    if (found == name) return value;
  return 0;
}

struct Group {
  std::string limit, used, stat, unused_pages;
};

void apply_limit(const Group& group, MemoryUsage& memory) {
  const auto limit = read_number(group.limit), charged = read_number(group.used);
  if (!limit || !charged || *limit == 0) return;
  const uint64_t unused = std::min(read_entry(group.stat, group.unused_pages), *charged);
  const uint64_t used = std::min(*charged - unused, *limit);
  memory.total_bytes = std::min(memory.total_bytes, *limit);
  memory.available_bytes = std::min(memory.available_bytes, *limit - used);
}

}  // namespace

MemoryUsage read_memory_usage(const std::string& root) {
  const std::string info = root + "/proc/meminfo";
  MemoryUsage memory;
  memory.total_bytes = read_entry(info, "MemTotal:") * 1024;
  memory.available_bytes = std::min(read_entry(info, "MemAvailable:") * 1024, memory.total_bytes);
  const CgroupFolders groups = cgroup_folders("memory", root);
  for (const std::string& v2 : groups.v2)
    apply_limit({v2 + "/memory.max", v2 + "/memory.current", v2 + "/memory.stat", "inactive_file"}, memory);
  for (const std::string& v1 : groups.v1)
    apply_limit(
        {v1 + "/memory.limit_in_bytes", v1 + "/memory.usage_in_bytes", v1 + "/memory.stat", "total_inactive_file"},
        memory);
  return memory;
}

}  // namespace qwen
