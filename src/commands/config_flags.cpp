#include "commands/config_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>

#include "server/config.h"

namespace qwen {
namespace {

// "Port to listen on; 0 = any free one (8000) [PORT]"
std::string help_of(const ConfigKey& key, const std::string& value) {
  std::string help(key.help);
  if (!value.empty() && !key.is_switch) help += " (" + value + ")";
  if (key.environment.empty()) return help;
  std::string variables(key.environment);
  for (size_t at = 0; (at = variables.find(' ', at)) != std::string::npos; at += 2) variables.replace(at, 1, ", ");
  return help + " [" + variables + "]";
}

std::string flag_of(const ConfigKey& key) {
  if (key.flag == "model") return "-m,--model";
  if (key.flag == "quantization") return "--quantization,--format";
  return "--" + std::string(key.flag);
}

}  // namespace

void ConfigFlags::declare(CLI::App& command, std::initializer_list<std::string_view> flags) {
  for (const ConfigKey& key : config_keys()) {
    if (flags.size() > 0 && std::find(flags.begin(), flags.end(), key.flag) == flags.end()) continue;
    Slot& slot = slots_[std::string(key.name)];
    const auto own = defaults_.find(key.flag);
    const std::string help = help_of(key, own != defaults_.end() ? own->second : default_value(key.name));
    if (key.is_switch)
      slot.option = command.add_flag(flag_of(key))->description(help);
    else
      slot.option = command.add_option(flag_of(key), slot.value, help)->type_name("");
  }
}

ServiceConfig ConfigFlags::resolve() const {
  ConfigLayer flags, defaults;
  flags.wrong_value = ErrorCode::kUsage;
  ConfigLayer environment = environment_layer([](const char* name) -> const char* { return std::getenv(name); });
  std::erase_if(environment.entries, [this](const auto& entry) { return slots_.find(entry.first) == slots_.end(); });
  for (const ConfigKey& key : config_keys()) {
    const auto slot = slots_.find(key.name);
    if (const auto own = defaults_.find(key.flag); own != defaults_.end())
      defaults.entries[std::string(key.name)] = {own->second, "default"};
    if (slot == slots_.end() || slot->second.option->count() == 0) continue;
    flags.entries[std::string(key.name)] = {key.is_switch ? "true" : slot->second.value, "--" + std::string(key.flag)};
  }
  const std::array<ConfigLayer, 3> layers = {std::move(flags), std::move(environment), std::move(defaults)};
  return resolve_config(layers).config;
}

BackendOptions backend_options(const ServiceConfig& config) {
  return {config.device, config.kernels, config.threads, config.kv_cache_dtype};
}

PackedCacheOptions cache_options(const ServiceConfig& config) {
  const bool enabled = config.cache_dir != "none";
  return {enabled, enabled ? config.cache_dir : "", config.weights == "mmap" ? PackedAccess::kMap : PackedAccess::kCopy,
          config.threads};
}

}  // namespace qwen
