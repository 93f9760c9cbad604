// SIGHUP: reads the configuration again and applies what can change while the service runs. What cannot is named and
// stays; a configuration that is wrong changes nothing.
#pragma once

#include <functional>
#include <string_view>

#include "server/config.h"

namespace qwen {

class LiveConfig {
 public:
  // `read`: the configuration as it is now in flags, environment and files; may throw Error.
  // `apply`, where given, has what else can change taken over, also where only the files that it names have changed.
  LiveConfig(EffectiveConfig running, std::function<EffectiveConfig()> read,
             std::function<void(const ServiceConfig&)> apply = {})
      : running_(std::move(running)), read_(std::move(read)), apply_(std::move(apply)) {}

  // One log line, which begins with who asked for it, says what changed and what needs a restart, or what is wrong.
  void reload(std::string_view asked_by = "SIGHUP");

  // Values and origins as they hold now.
  const EffectiveConfig& running() const { return running_; }

 private:
  EffectiveConfig running_;  // values that need a restart stay the ones of the start
  std::function<EffectiveConfig()> read_;
  std::function<void(const ServiceConfig&)> apply_;
};

}  // namespace qwen
