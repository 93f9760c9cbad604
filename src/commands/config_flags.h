// The service's settings as flags of a command. server/config's table decides names, environment variables, defaults
// and bounds, so that a flag means the same in every command.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "backend/create.h"
#include "model/packed_cache.h"
#include "server/config.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace qwen {

class ConfigFlags {
 public:
  // Declares the settings named by `flags` (ConfigKey::flag); all of them where it is empty. Must outlive the parse.
  void declare(CLI::App& command, std::initializer_list<std::string_view> flags = {});

  // A default of this command's own for a declared setting, by ConfigKey::flag; to be said before declare().
  void set_default(std::string_view flag, std::string value) { defaults_[std::string(flag)] = std::move(value); }

  // Flags over environment over files (config_file.h; the strongest last, read anew each time) over defaults; of the
  // declared settings only. Errors: kUsage for a flag, kConfig for a variable or file.
  // With `faults` they are kept there.
  EffectiveConfig resolve(std::span<const std::string> files, ConfigFaults* faults = nullptr) const;

  // For a command's help: the variables of the settings that have no flag, a line each.
  static std::string variables_without_flag();
  ServiceConfig resolve() const { return resolve({}).config; }

 private:
  struct Slot {
    std::string value;
    CLI::Option* option = nullptr;  // null: the setting has no flag
  };
  void keep_declared(ConfigLayer& layer) const;
  ConfigLayer flag_layer() const;

  bool all_ = false;                                          // every setting is declared
  std::map<std::string, Slot, std::less<>> slots_;            // by ConfigKey::name; nodes stay where they are
  std::map<std::string, std::string, std::less<>> defaults_;  // by ConfigKey::flag
};

BackendOptions backend_options(const ServiceConfig& config);
PackedCacheOptions cache_options(const ServiceConfig& config);

}  // namespace qwen
