// SIGHUP: reads the configuration again and applies what can change while the service runs. What cannot is named and
// stays; a configuration that is wrong changes nothing.
#pragma once

#include <functional>

#include "server/config.h"

namespace qwen {

class LiveConfig {
 public:
  // `read`: the configuration as it is now in flags, environment and files; may throw Error.
  LiveConfig(EffectiveConfig running, std::function<EffectiveConfig()> read)
      : running_(std::move(running)), read_(std::move(read)) {}

  // One log line says what changed and what needs a restart, or what is wrong.
  void reload();

 private:
  EffectiveConfig running_;  // values that need a restart stay the ones of the start
  std::function<EffectiveConfig()> read_;
};

}  // namespace qwen
