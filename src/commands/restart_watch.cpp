#include "commands/restart_watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace qwen {

RestartWatch::RestartWatch(std::function<std::vector<std::string>()> files, std::string folder)
    : files_(std::move(files)), folder_(std::move(folder)), told_(stamps()), last_(told_) {}

RestartWatch::Stamps RestartWatch::stamps() const {
  std::vector<std::string> paths = files_();
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder_, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    paths.push_back(entry->path().string());
  Stamps result;
  for (const std::string& path : paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode))
      result[path] = {info.st_ino, info.st_size, info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
  }
  return result;
}

std::optional<std::string> RestartWatch::look() {
  const Stamps now = stamps();
  const bool still = now == last_;
  last_ = now;
  if (!still || now == told_) return std::nullopt;
  std::string changed;
  for (const auto& [path, stamp] : now) {
    const auto before = told_.find(path);
    if (before == told_.end() || before->second != stamp) changed = path;
  }
  for (const auto& [path, stamp] : told_)
    if (now.find(path) == now.end()) changed = path;
  told_ = now;
  return changed;
}

void restart_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string line{std::istreambuf_iterator<char>(file), {}};
  std::vector<char*> arguments;
  for (size_t at = 0; at < line.size(); at += std::strlen(&line[at]) + 1) arguments.push_back(&line[at]);
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  throw Error(ErrorCode::kOs, str("cannot start anew: ", std::strerror(errno)));
}

}  // namespace qwen
