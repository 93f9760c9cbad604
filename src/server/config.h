// Where settings come from: flags over environment over (later) files over the defaults of ServiceConfig. One table
// holds every key with its names, its meaning and its bounds; each effective value remembers its origin. A wrong value
// names where it came from and what is allowed: kUsage for a flag, kConfig otherwise.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/service_config.h"

namespace qwen {

// One setting, for whoever declares flags or prints help.
struct ConfigKey {
  std::string_view name;  // "server.port": section and key as a file spells them; unique
  std::string_view flag;  // "port" for --port
  std::string_view
      environment;  // variables, space-separated, the first one set wins: "DEFAULT_TEMPERATURE TEMPERATURE"
  std::string_view help;
  bool is_switch = false;  // the flag takes no value
};
std::span<const ConfigKey> config_keys();

// Of the key of that name, as one would write it; empty where there is none.
std::string default_value(std::string_view name);

// What one source says, before it is looked at.
struct ConfigLayer {
  struct Entry {
    std::string value;
    std::string origin;  // "--port", "PORT", later "service_config.yaml:12"
  };
  ErrorCode wrong_value = ErrorCode::kConfig;
  std::map<std::string, Entry, std::less<>> entries;  // by ConfigKey::name
};

// `lookup` is getenv or a test's stand-in: null where unset. An empty variable counts as unset.
ConfigLayer environment_layer(const std::function<const char*(const char*)>& lookup);

struct EffectiveValue {
  std::string_view name;
  std::string value, origin;  // origin "default" where nothing was set
};
struct EffectiveConfig {
  ServiceConfig config;
  std::vector<EffectiveValue> values;  // every key, in the table's order
};

// `layers`: the strongest first. Errors: see above; also for a key that no row of the table has.
EffectiveConfig resolve_config(std::span<const ConfigLayer> layers);

// For a value that is wrong only beside something else, the model for one: "--max-model-len is …" with the code of the
// place that it came from. `problem` says value and mend.
Error wrong_setting(const ServiceConfig& config, std::string_view name, const std::string& problem);

}  // namespace qwen
