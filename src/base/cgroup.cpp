// /proc/self/cgroup holds a line "id:controllers:path" a hierarchy; version 2 is the one with id 0 and no controllers.
#include "base/cgroup.h"

#include <algorithm>
#include <fstream>

namespace qwen {
namespace {

std::vector<std::string> with_ancestors(const std::string& mount, std::string path) {
  std::vector<std::string> folders;
  while (path.size() > 1 && path.front() == '/') {
    if (path.find("..") == std::string::npos) folders.push_back(mount + path);  // "/.." is outside of what we see
    path.resize(path.rfind('/'));
  }
  folders.push_back(mount);
  return folders;
}

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

CgroupFolders cgroup_folders(std::string_view controller, const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup";
  std::string v1_path, v2_path;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (controllers.empty()) v2_path = line.substr(second + 1);
    if (lists(controllers, controller)) v1_path = line.substr(second + 1);
  }
  return {with_ancestors(mount, v2_path), with_ancestors(mount + "/" + std::string(controller), v1_path)};
}

}  // namespace qwen
