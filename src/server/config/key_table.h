// Every setting of the service: one row holds its names, its meaning and its bounds. See server/config.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/config.h"
#include "server/service_config.h"

namespace qwen {

struct ConfigRow {
  ConfigKey key;
  void (*set)(ServiceConfig&, const std::string&);  // throws Disallowed, see value_text.h
  std::string (*show)(const ServiceConfig&);        // spelled so that set() takes it; empty: nothing is set
};

std::span<const ConfigRow> config_rows();

// The row that `name` names in a file, as key or as synonym; null where there is none.
const ConfigRow* find_config_row(std::string_view name);

}  // namespace qwen
