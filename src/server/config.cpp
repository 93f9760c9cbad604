#include "server/config.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/quote.h"
#include "server/config/config_faults.h"
#include "server/config/config_file.h"
#include "server/config/key_table.h"
#include "server/config/value_text.h"

namespace qwen {
namespace {

void apply(const ConfigRow& row, const ConfigLayer::Entry& entry, ErrorCode code, ServiceConfig& config) {
  try {
    row.set(config, entry.value);
  } catch (const Disallowed& problem) {
    const std::string value = row.key.secret ? "" : str("is ", quote(entry.value), " but ");
    throw Error(code, str(entry.subject(), ' ', value, "must be ", problem.allowed), std::string(row.key.name));
  }
}

void reject_unknown_keys(const ConfigLayer& layer) {
  for (const auto& [name, entry] : layer.entries) {
    const ConfigRow* row = find_config_row(name);
    if (row == nullptr || row->key.name != name)
      throw Error(layer.wrong_value, str(entry.origin, ": there is no setting ", name), name);
  }
}

using Layers = std::vector<ConfigLayer>;

// The value and its layer, from `first` on; layers.end() where none has it.
Layers::const_iterator strongest(const Layers& layers, Layers::const_iterator first, std::string_view name) {
  return std::find_if(first, layers.end(), [&](const ConfigLayer& layer) { return layer.entries.count(name) > 0; });
}

// A switch that is off stands for a value of another setting, in the layer that decides about it: a flag still goes
// before it.
void apply_switch(Layers& layers, std::string_view name, std::string_view other, const char* value) {
  const auto decides = strongest(layers, layers.begin(), name);
  if (decides == layers.end()) return;
  ConfigLayer& layer = layers[static_cast<size_t>(decides - layers.begin())];
  const auto found = layer.entries.find(name);
  bool on = true;
  try {
    on = parse_bool(found->second.value);
  } catch (const Disallowed&) {
    return;  // refused in its own row
  }
  if (on) return;
  const ConfigLayer::Entry& entry = found->second;
  layer.entries[std::string(other)] = {value, entry.key.empty() ? entry.origin + "=false" : entry.origin,
                                       entry.key.empty() ? "" : entry.key + ": false, which"};
}

std::string folder_name(const Layers& layers, Layers::const_iterator layer) {
  std::filesystem::path path =
      layer == layers.end() ? ServiceConfig().model_path : layer->entries.find("model.path")->second.value;
  path = path.lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

// A file names the model that it gives the path of; a variable is said for the very process.
void drop_name_of_another_model(Layers& layers) {
  const auto named = strongest(layers, layers.begin(), "model.name");
  const auto placed = strongest(layers, layers.begin(), "model.path");
  if (named == layers.end() || !named->from_file || placed >= named) return;
  if (folder_name(layers, placed) == folder_name(layers, strongest(layers, named, "model.path"))) return;
  for (ConfigLayer& layer : layers) layer.entries.erase("model.name");
}

// Several processes share the pages of one file, where nobody says otherwise.
void share_weights(EffectiveConfig& effective) {
  if (effective.config.workers == 1 || effective.config.origins.count("model.weights") > 0) return;
  effective.config.weights = "mmap";
  for (EffectiveValue& value : effective.values)
    if (value.name == "model.weights") value.value = effective.config.weights;
}

}  // namespace

std::vector<std::string> words(std::string_view names) {
  std::vector<std::string> result;
  while (!names.empty()) {
    const size_t space = std::min(names.find(' '), names.size());
    result.emplace_back(names.substr(0, space));
    names.remove_prefix(std::min(space + 1, names.size()));
  }
  return result;
}

std::span<const std::string_view> dictionary_variables() {
  static constexpr std::array<std::string_view, 3> kVariables = {"BATCH_CONFIG", "CACHE_CONFIG", "SSL_CONFIG"};
  return kVariables;
}

ConfigLayer environment_layer(const std::function<const char*(const char*)>& lookup, ConfigFaults* faults) {
  ConfigLayer layer;
  for (const ConfigKey& key : config_keys()) {
    for (const std::string& variable : words(key.environment)) {
      const char* const value = lookup(variable.c_str());
      if (value == nullptr || *value == '\0') continue;
      layer.entries.emplace(key.name, ConfigLayer::Entry{value, variable, ""});
      break;
    }
  }
  for (const std::string_view variable : dictionary_variables()) {
    const std::string name(variable);
    const char* const value = lookup(name.c_str());
    if (value == nullptr || *value == '\0') continue;
    attempt(faults,
            [&] { layer.entries.merge(dictionary_layer(value, name, faults).entries); });  // keeps what is there
  }
  return layer;
}

EffectiveConfig resolve_config(std::span<const ConfigLayer> given, ConfigFaults* faults) {
  Layers layers(given.begin(), given.end());
  for (const ConfigLayer& layer : layers) reject_unknown_keys(layer);
  apply_switch(layers, "model.quantization.enable", "model.quantization.format", "none");
  apply_switch(layers, "batch_config.enable_dynamic_batching", "engine.max_num_seqs", "1");
  drop_name_of_another_model(layers);
  EffectiveConfig effective;
  for (const ConfigRow& row : config_rows()) {
    EffectiveValue value{row.key.name, row.show(effective.config), "default", std::string(row.key.name)};
    if (const auto layer = strongest(layers, layers.begin(), row.key.name); layer != layers.end()) {
      const ConfigLayer::Entry& entry = layer->entries.find(row.key.name)->second;
      attempt(faults, [&] { apply(row, entry, layer->wrong_value, effective.config); });
      value.value = row.show(effective.config);
      value.origin = entry.origin;
      value.subject = entry.subject();
      effective.config.origins[std::string(row.key.name)] = {entry.subject(), layer->wrong_value, layer->from_file};
    }
    effective.values.push_back(std::move(value));
  }
  share_weights(effective);
  return effective;
}

Error wrong_setting(const ServiceConfig& config, std::string_view name, const std::string& problem) {
  const auto origin = config.origins.find(name);
  if (origin == config.origins.end()) return {ErrorCode::kConfig, str(name, " ", problem), std::string(name)};
  return {origin->second.wrong_value, str(origin->second.name, " ", problem), std::string(name)};
}

}  // namespace qwen
