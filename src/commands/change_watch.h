// What may change the service while it runs: SIGHUP, and files with --reload.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands/live_config.h"
#include "commands/restart_watch.h"

namespace qwen {

class ChangeWatch {
 public:
  using Files = std::function<std::vector<std::string>()>;

  // `read` and `apply`: LiveConfig's. With `files`, those of the configuration (may throw Error), they and the folder
  // `model_path` are watched.
  ChangeWatch(EffectiveConfig running, std::function<EffectiveConfig()> read,
              std::function<void(const ServiceConfig&)> apply, const Files& files = {},
              const std::string& model_path = {});

  void reload(std::string_view asked_by = "SIGHUP") { live_.reload(asked_by); }
  const EffectiveConfig& running() const { return live_.running(); }
  bool watches_files() const { return files_.has_value(); }
  bool restart_wanted();  // a file has changed, and the configuration is one to start with; says so

 private:
  const std::function<EffectiveConfig()> read_;
  LiveConfig live_;
  std::optional<RestartWatch> files_;
};

}  // namespace qwen
