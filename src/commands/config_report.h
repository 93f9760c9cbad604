// `serve --check-config`: the effective configuration as a table, every value with where it came from.
#pragma once

#include <string>
#include <vector>

#include "server/config.h"

namespace qwen {

// One line a setting: name, value, origin. Secrets are masked. Comments (#) name the files that were read and say what
// else there is to know.
std::string config_report(const EffectiveConfig& effective, const std::vector<std::string>& files);

// Of one value, as it may be shown.
std::string shown_value(const EffectiveConfig& effective, const EffectiveValue& value);

}  // namespace qwen
