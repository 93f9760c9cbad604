// Where settings come from: flags over environment over files (config/config_file.h) over the defaults of
// ServiceConfig. One table (config/key_table.h) holds every key with its names, its meaning and its bounds; each
// effective value remembers its origin. A wrong value names where it came from and what is allowed: kUsage for a flag,
// kConfig otherwise. The value of a secret is in no message.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/service_config.h"

namespace qwen {

class ConfigFaults;

// One setting, for whoever declares flags or prints help.
struct ConfigKey {
  std::string_view name;  // "server.port": section and key as a file spells them; unique
  std::string_view flag;  // "port" for --port; empty: it has none
  std::string_view
      environment;  // variables, space-separated, the first one set wins: "DEFAULT_TEMPERATURE TEMPERATURE"
  std::string_view help;
  bool is_switch = false;     // the flag takes no value
  std::string_view synonyms;  // other names in a file, space-separated
  bool secret = false;
};
std::span<const ConfigKey> config_keys();

// The words of a list of names.
std::vector<std::string> words(std::string_view names);

// Of the key of that name, as one would write it; empty where there is none.
std::string default_value(std::string_view name);

// What one source says, before it is looked at.
struct ConfigLayer {
  struct Entry {
    std::string value;
    std::string origin;  // "--port", "PORT", "configs/service_config.yaml:12"
    std::string key;     // as a file spells it; empty where origin says all

    // As messages begin: "PORT", "configs/service_config.yaml:12: server.port".
    std::string subject() const { return key.empty() ? origin : origin + ": " + key; }
  };
  ErrorCode wrong_value = ErrorCode::kConfig;
  std::map<std::string, Entry, std::less<>> entries;  // by ConfigKey::name
  bool from_file = false;
};

// The guide's dictionaries: BATCH_CONFIG and so on.
std::span<const std::string_view> dictionary_variables();

// `lookup` is getenv or a test's stand-in: null where unset. An empty variable counts as unset. The guide's
// dictionaries (BATCH_CONFIG, CACHE_CONFIG, SSL_CONFIG; as Python, JSON or YAML) give way to the variables of their
// members. Errors: kConfig for a dictionary that is none or has an unknown member.
ConfigLayer environment_layer(const std::function<const char*(const char*)>& lookup, ConfigFaults* faults = nullptr);

struct EffectiveValue {
  std::string_view name;
  std::string value, origin;  // value: a secret's too; origin: Entry::origin, "default" where nothing was set
  std::string subject;        // Entry::subject; `name` where nothing was set
};
struct EffectiveConfig {
  ServiceConfig config;
  std::vector<EffectiveValue> values;  // every key, in the table's order
};

// `layers`: the strongest first. Within one layer, quantization.enable false stands for the format none and
// enable_dynamic_batching false for max_num_seqs 1; with several workers model.weights is mmap by default. A model.name
// from a weaker layer than the model.path holds for a folder of the same name only: it names another model otherwise.
// Errors: see above; also for a key that no row of the table has. With `faults` wrong values are kept there, and their
// settings have their defaults.
EffectiveConfig resolve_config(std::span<const ConfigLayer> layers, ConfigFaults* faults = nullptr);

// For a value that is wrong only beside something else, the model for one: "--max-model-len is …" with the code of the
// place that it came from. `problem` says value and mend.
Error wrong_setting(const ServiceConfig& config, std::string_view name, const std::string& problem);

}  // namespace qwen
