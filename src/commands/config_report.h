// `serve --check-config`: the effective configuration as a table, every value with where it came from.
#pragma once

#include <string>
#include <vector>

#include "server/config.h"
#include "server/config/config_faults.h"

namespace qwen {

// One line a setting: name, value, origin. Secrets are masked. Comments (#) name the files that were read and say what
// else there is to know.
std::string config_report(const EffectiveConfig& effective, const std::vector<std::string>& files);

// One line a fault, on standard error. The exit status: that of the first fault which is not a flag's, of a flag's
// where there is no other, 0 where there is none.
int report_faults(const ConfigFaults& faults);

// Of one value, as it may be shown.
std::string shown_value(const EffectiveConfig& effective, const EffectiveValue& value);

}  // namespace qwen
