// Where the limits on this process stand: its control group's folder and those of all groups around it, whichever of
// the two hierarchies the machine has. A container with a namespace of its own sees its group at the root.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct CgroupFolders {
  std::vector<std::string> v2;  // "/sys/fs/cgroup/a/b", …, "/sys/fs/cgroup"; the innermost first
  std::vector<std::string> v1;  // the same below the controller's folder
};

// `controller`: "memory", "cpu". `root` stands before /proc and /sys; for tests. Folders need not exist.
CgroupFolders cgroup_folders(std::string_view controller, const std::string& root = {});

}  // namespace qwen
