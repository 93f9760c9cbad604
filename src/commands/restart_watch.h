// `serve --reload`, for development: sees when a configuration file or a file of the model folder changes, and starts
// the process anew.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace qwen {

class RestartWatch {
 public:
  // `files` is asked at every look: files may come and go. Of `folder`, the regular files in it count.
  RestartWatch(std::function<std::vector<std::string>()> files, std::string folder);

  // A file that has changed since the construction or the last one that was told, once nothing has changed between two
  // looks: what is being written is not read.
  std::optional<std::string> look();

 private:
  using Stamp = std::tuple<uint64_t, int64_t, int64_t>;  // inode, size, modification time in ns
  using Stamps = std::map<std::string, Stamp>;
  Stamps stamps() const;

  std::function<std::vector<std::string>()> files_;
  std::string folder_;
  Stamps told_, last_;
};

// Replaces this process by a new one with the same arguments and environment. Errors: kOs.
[[noreturn]] void restart_process();

}  // namespace qwen
