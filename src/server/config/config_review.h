// What a configuration says that cannot be so: settings that stop the start because they do not go together or promise
// what this version does not do, and settings that have no effect here, with one line each that says so.
#pragma once

#include <string>
#include <vector>

#include "server/config.h"

namespace qwen {

class ConfigFaults;

struct ConfigNotice {
  LogLevel level;
  std::string text;
};

// Looks at values alone, at no file and no port. Errors: wrong_setting; with `faults` kept there, where not the
// settings themselves are at fault.
std::vector<ConfigNotice> review_config(const EffectiveConfig& effective, ConfigFaults* faults = nullptr);

// Seconds that whoever stops the service must wait, at least, before it kills it.
int least_stop_grace_period(const ServiceConfig& config);

}  // namespace qwen
