#include "commands/config_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "server/config/config_faults.h"
#include "server/config/config_file.h"

namespace qwen {
namespace {

// "Port to listen on; 0 = any free one (8000) [PORT]"
std::string help_of(const ConfigKey& key, const std::string& value) {
  std::string help(key.help);
  if (!value.empty() && !key.is_switch) help += " (" + value + ")";
  if (key.environment.empty()) return help;
  std::string variables;
  for (const std::string& variable : words(key.environment)) variables += (variables.empty() ? "" : ", ") + variable;
  return help + " [" + variables + "]";
}

std::string flag_of(const ConfigKey& key) {
  if (key.flag == "model") return "-m,--model";
  if (key.flag == "workers") return "-w,--workers";
  if (key.flag == "quantization") return "--quantization,--format";
  return "--" + std::string(key.flag);
}

}  // namespace

void ConfigFlags::declare(CLI::App& command, std::initializer_list<std::string_view> flags) {
  all_ = flags.size() == 0;
  for (const ConfigKey& key : config_keys()) {
    if (!all_ && std::find(flags.begin(), flags.end(), key.flag) == flags.end()) continue;
    Slot& slot = slots_[std::string(key.name)];
    if (key.flag.empty()) continue;
    const auto own = defaults_.find(key.flag);
    const std::string help = help_of(key, own != defaults_.end() ? own->second : default_value(key.name));
    if (key.is_switch)
      slot.option = command.add_flag(flag_of(key))->description(help);
    else
      slot.option = command.add_option(flag_of(key), slot.value, help)->type_name("");
  }
}

std::string ConfigFlags::variables_without_flag() {
  constexpr size_t kColumn = 30;  // CLI11's
  std::string text = "Environment variables without a flag:";
  const auto add = [&text](const std::string& variable, std::string_view help) {
    text += "\n  " + variable;
    text.append(variable.size() + 2 < kColumn ? kColumn - 2 - variable.size() : 1, ' ').append(help);
  };
  for (const ConfigKey& key : config_keys()) {
    if (!key.flag.empty()) continue;
    const std::string value = key.secret ? "" : default_value(key.name);
    for (const std::string& variable : words(key.environment))
      add(variable, std::string(key.help) + (value.empty() ? "" : " (" + value + ")"));
  }
  for (const std::string_view variable : dictionary_variables())
    add(std::string(variable), "The settings of this section as a dictionary, as Python or JSON writes it");
  return text;
}

void ConfigFlags::keep_declared(ConfigLayer& layer) const {
  std::erase_if(layer.entries, [this](const auto& entry) { return slots_.find(entry.first) == slots_.end(); });
}

ConfigLayer ConfigFlags::flag_layer() const {
  ConfigLayer layer;
  layer.wrong_value = ErrorCode::kUsage;
  for (const ConfigKey& key : config_keys()) {
    const auto slot = slots_.find(key.name);
    if (slot == slots_.end() || slot->second.option == nullptr || slot->second.option->count() == 0) continue;
    layer.entries[std::string(key.name)] = {key.is_switch ? "true" : slot->second.value, "--" + std::string(key.flag),
                                            ""};
  }
  return layer;
}

EffectiveConfig ConfigFlags::resolve(std::span<const std::string> files, ConfigFaults* faults) const {
  std::vector<ConfigLayer> layers = {flag_layer()};
  const auto lookup = [this](const char* name) -> const char* {
    // The guide's dictionaries are the service's: a wrong one is no matter for a command that declares none of it.
    const bool tls = std::string_view(name) == "SSL_CONFIG" && slots_.find("ssl_config.cert_file") != slots_.end();
    return all_ || tls || !std::string_view(name).ends_with("_CONFIG") ? std::getenv(name) : nullptr;
  };
  layers.push_back(environment_layer(lookup, faults));
  for (auto file = files.rbegin(); file != files.rend(); ++file)
    attempt(faults, [&] {
      try {
        layers.push_back(read_config_file(*file, faults));
      } catch (const Error&) {
        if (faults != nullptr) faults->source_is_cut();
        throw;
      }
    });
  for (ConfigLayer& layer : layers) keep_declared(layer);
  ConfigLayer& defaults = layers.emplace_back();
  for (const ConfigKey& key : config_keys()) {
    const auto own = defaults_.find(key.flag);
    if (own != defaults_.end()) defaults.entries[std::string(key.name)] = {own->second, "default", ""};
  }
  return resolve_config(layers, faults);
}

BackendOptions backend_options(const ServiceConfig& config) {
  return {config.device, config.kernels, config.threads, config.kv_cache_dtype};
}

PackedCacheOptions cache_options(const ServiceConfig& config) {
  const bool enabled = config.cache_dir != "none";
  return {enabled, enabled ? config.cache_dir : "", config.weights == "mmap" ? PackedAccess::kMap : PackedAccess::kCopy,
          config.origins.count("model.weights") > 0, config.threads};
}

}  // namespace qwen
