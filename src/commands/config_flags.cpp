#include "commands/config_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>

#include "server/config.h"

namespace qwen {
namespace {

// "Port to listen on; 0 = any free one (8000) [PORT]"
std::string help_of(const ConfigKey& key) {
  std::string help(key.help);
  const std::string value = default_value(key.name);
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
    if (key.is_switch)
      slot.option = command.add_flag(flag_of(key))->description(help_of(key));
    else
      slot.option = command.add_option(flag_of(key), slot.value, help_of(key))->type_name("");
  }
}

ServiceConfig ConfigFlags::resolve() const {
  ConfigLayer flags;
  flags.wrong_value = ErrorCode::kUsage;
  ConfigLayer environment = environment_layer([](const char* name) -> const char* { return std::getenv(name); });
  std::erase_if(environment.entries, [this](const auto& entry) { return slots_.find(entry.first) == slots_.end(); });
  for (const ConfigKey& key : config_keys()) {
    const auto slot = slots_.find(key.name);
    if (slot == slots_.end() || slot->second.option->count() == 0) continue;
    flags.entries[std::string(key.name)] = {key.is_switch ? "true" : slot->second.value, "--" + std::string(key.flag)};
  }
  const std::array<ConfigLayer, 2> layers = {std::move(flags), std::move(environment)};
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
