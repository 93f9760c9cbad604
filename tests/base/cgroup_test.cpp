#include "base/cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/memory_usage.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

using Folders = std::vector<std::string>;

std::string put(const ScratchFolder& root, const std::string& path, const std::string& text) {
  std::filesystem::create_directories((root.path() / path).parent_path());
  root.write(path, text);
  return root.path().string();
}

TEST(Cgroup, OwnGroupFirstThenThoseAroundIt) {
  const ScratchFolder folder;
  const std::string root = put(folder, "proc/self/cgroup", "7:cpu,cpuacct:/slice/unit\n4:memory:/\n0::/a/b.service\n");
  const std::string mount = root + "/sys/fs/cgroup";
  EXPECT_EQ(cgroup_folders("memory", root).v2, (Folders{mount + "/a/b.service", mount + "/a", mount}));
  EXPECT_EQ(cgroup_folders("memory", root).v1, Folders{mount + "/memory"});
  EXPECT_EQ(cgroup_folders("cpu", root).v1, (Folders{mount + "/cpu/slice/unit", mount + "/cpu/slice", mount + "/cpu"}));
}

TEST(Cgroup, WithoutTheFileOnlyTheRoot) {
  const ScratchFolder folder;
  const std::string root = folder.path().string();
  EXPECT_EQ(cgroup_folders("memory", root).v2, Folders{root + "/sys/fs/cgroup"});
  put(folder, "proc/self/cgroup", "garbage\n0::/../../outside\n");
  EXPECT_EQ(cgroup_folders("memory", root).v2, Folders{root + "/sys/fs/cgroup"});
}

TEST(MemoryUsage, TheTightestLimitOnTheWayCounts) {
  const ScratchFolder folder;
  put(folder, "proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n");
  const std::string root = put(folder, "proc/self/cgroup", "0::/slice/unit.service\n");
  EXPECT_EQ(read_memory_usage(root).available_bytes, 900000u * 1024);
  put(folder, "sys/fs/cgroup/slice/unit.service/memory.max", "max\n");
  put(folder, "sys/fs/cgroup/slice/unit.service/memory.current", "5000000\n");
  put(folder, "sys/fs/cgroup/slice/memory.max", "100000000\n");
  put(folder, "sys/fs/cgroup/slice/memory.current", "60000000\n");
  put(folder, "sys/fs/cgroup/slice/memory.stat", "anon 1\ninactive_file 20000000\n");
  const MemoryUsage memory = read_memory_usage(root);
  EXPECT_EQ(memory.total_bytes, 100000000u);
  EXPECT_EQ(memory.available_bytes, 60000000u);  // limit - (current - file pages that nobody uses)
}

}  // namespace
}  // namespace qwen
