#include "server/config/config_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/nearest_name.h"
#include "base/quote.h"
#include "server/config/api_keys.h"
#include "server/config/config_faults.h"
#include "server/config/key_table.h"
#include "server/config/value_text.h"
#include "server/config/yaml_settings.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kFileNames = {"model_config.yaml", "service_config.yaml"};
constexpr std::array<std::string_view, 4> kGuideSections = {"BATCH_CONFIG", "CACHE_CONFIG", "API_KEYS", "SSL_CONFIG"};
constexpr std::string_view kApiKeys = "api_keys";

std::string_view section_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == path.npos ? std::string_view() : path.substr(0, dot);
}
std::string_view leaf_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

// Every name that a file may use.
std::vector<std::string> file_names() {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    names.emplace_back(key.name);
    for (std::string& synonym : words(key.synonyms)) names.push_back(std::move(synonym));
  }
  return names;
}

// Whether `path` is one of the table's sections, which may be empty.
bool is_section(std::string_view path) {
  const std::vector<std::string> names = file_names();
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name.size() > path.size() && name[path.size()] == '.' && name.compare(0, path.size(), path) == 0;
  });
}

// What stands in `section`: keys, and at the root sections too. By word, the whole name.
std::map<std::string_view, std::string_view> names_in(std::string_view section, const std::vector<std::string>& names) {
  std::map<std::string_view, std::string_view> found;
  for (const std::string_view name : names) {
    if (section_of(name) == section) found[leaf_of(name)] = name;
    if (const std::string_view first = name.substr(0, name.find('.')); section.empty()) found[first] = first;
  }
  return found;
}

// What may have been meant: a name of the same section, the same word in another section, any name; else what there is.
std::string hint(std::string_view path) {
  const std::vector<std::string> names = file_names();
  const auto meant = [](std::string_view name) { return str("; did you mean ", name, "?"); };
  auto siblings = names_in(section_of(path), names);
  std::vector<std::string_view> near;
  for (const auto& [leaf, name] : siblings) near.push_back(leaf);
  const std::string_view word = leaf_of(path);
  if (const auto leaf = nearest_name(word, near); leaf && siblings[*leaf] != path) return meant(siblings[*leaf]);
  for (const std::string_view name : names)
    if (leaf_of(name) == word && name != path) return meant(name);
  if (siblings.empty()) {
    near.assign(names.begin(), names.end());
    if (const auto name = nearest_name(path, near)) return meant(*name);
    siblings = names_in("", names);
  }
  std::string list;
  for (const auto& [leaf, name] : siblings) list.append(list.empty() ? "" : ", ").append(leaf);
  return str("; ", section_of(path).empty() ? "there is " : str(section_of(path), " has "), list);
}

std::string small_letters(std::string path) {
  for (const std::string_view section : kGuideSections) {
    if (path.compare(0, section.size(), section) != 0) continue;
    if (path.size() > section.size() && path[section.size()] != '.') continue;
    std::transform(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(section.size()), path.begin(),
                   [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  }
  return path;
}

// Takes the settings of a text one after the other.
class LayerBuilder {
 public:
  LayerBuilder(const std::string& name, ConfigFaults* faults) : name_(name), faults_(faults) {
    layer_.from_file = true;
  }

  void take(const YamlSetting& setting) {
    attempt(faults_, [&] { look_at(setting); });
  }

  ConfigLayer finish() {
    if (!keys_at_fault_) attempt(faults_, [&] { add_api_keys(); });
    return std::move(layer_);
  }

 private:
  void look_at(const YamlSetting& setting) {
    const std::string path = small_letters(setting.path);
    if (path.size() > kApiKeys.size() && path.compare(0, kApiKeys.size() + 1, str(kApiKeys, '.')) == 0)
      return take_api_key(path.substr(kApiKeys.size() + 1), setting);
    const ConfigRow* row = find_config_row(path);
    if (row == nullptr && setting.empty && is_section(path)) return;
    if (row == nullptr)
      throw Error(ErrorCode::kConfig, str(place(setting), ": there is no key ", quote(setting.path), hint(path)));
    if (!setting.empty) add(*row, {setting.value, place(setting), setting.path});
  }

  void add_api_keys() {
    if (const std::string problem = api_keys_problem(keys_); !problem.empty())
      throw Error(ErrorCode::kConfig, str(keys_origin_, ": api_keys: ", problem));
    if (!keys_.empty()) add(*find_config_row(kApiKeys), {api_keys_text(keys_), keys_origin_, std::string(kApiKeys)});
  }

  std::string place(const YamlSetting& setting) const { return str(name_, ':', setting.line); }

  void take_api_key(const std::string& name, const YamlSetting& setting) {
    const bool others_at_fault = std::exchange(keys_at_fault_, true);
    if (keys_.empty()) keys_origin_ = place(setting);
    const auto [there, added] = key_places_.emplace(name, place(setting));
    if (!added)
      throw Error(ErrorCode::kConfig, str(place(setting), ": there is a key named ", quote(name), " at ", there->second,
                                          " already; keep one of them"));
    try {
      set_api_key(keys_, name, setting.empty ? "" : setting.value);
    } catch (const Disallowed& problem) {
      throw Error(ErrorCode::kConfig, str(place(setting), ": ", quote(setting.path), " must be ", problem.allowed));
    }
    keys_at_fault_ = others_at_fault;
  }

  // Two names of one setting in one file: which of them holds would be a guess.
  void add(const ConfigRow& row, ConfigLayer::Entry entry) {
    const auto [there, added] = layer_.entries.emplace(row.key.name, entry);
    if (!added && there->second.value != entry.value)
      throw Error(ErrorCode::kConfig, str(entry.subject(), " and ", there->second.subject(),
                                          " are the same setting with two values; keep one of them"));
  }

  const std::string& name_;
  ConfigFaults* const faults_;
  ConfigLayer layer_;
  ApiKeys keys_;
  bool keys_at_fault_ = false;                     // one of them
  std::map<std::string, std::string> key_places_;  // by path below api_keys
  std::string keys_origin_;
};

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> files;
  for (const std::string_view name : kFileNames) {
    std::error_code ignored;  // a file that may not be looked at is there: who reads it says so
    if (fs::status(folder / name, ignored).type() != fs::file_type::not_found)
      files.push_back((folder / name).string());
  }
  return files;
}

std::vector<std::string> expand(const std::vector<std::string>& named) {
  if (named.size() == 1 && named[0] == "none") return {};
  std::vector<std::string> files;
  for (const std::string& path : named) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    const std::vector<std::string> found = files_in(path);
    if (found.empty())
      throw Error(ErrorCode::kConfig, str(path, ": holds neither ", kFileNames[0], " nor ", kFileNames[1]));
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) pieces.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return pieces;
}

}  // namespace

std::vector<std::string> find_config_files(const std::vector<std::string>& named,
                                           const std::function<const char*(const char*)>& lookup,
                                           const std::string& root) {
  if (!named.empty()) return expand(named);
  for (const char* variable : {"CONFIG_FILES", "CONFIG_FILE"}) {
    const char* const value = lookup(variable);
    if (value == nullptr || *value == '\0') continue;
    return expand(variable == std::string_view("CONFIG_FILE") ? std::vector<std::string>{value} : split(value, ':'));
  }
  for (const std::string& folder : {std::string("configs"), root + "/app/configs", root + "/etc/qwen-thinking"}) {
    if (std::vector<std::string> files = files_in(folder); !files.empty()) return files;
  }
  return {};
}

ConfigLayer read_config_file(const std::string& path, ConfigFaults* faults) {
  std::string text;
  try {
    text = read_text_file(path, kMaxYamlBytes);
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, error.what());
  }
  return parse_config(text, path, faults);
}

ConfigLayer parse_config(std::string_view text, const std::string& name, ConfigFaults* faults) {
  LayerBuilder builder(name, faults);
  for (const YamlSetting& setting : read_yaml_settings(text, name, faults)) builder.take(setting);
  return builder.finish();
}

ConfigLayer dictionary_layer(std::string_view text, const std::string& variable, ConfigFaults* faults) {
  LayerBuilder builder(variable, faults);
  for (YamlSetting& setting : read_yaml_settings(text, variable, faults)) {
    setting.path = variable + '.' + setting.path;
    setting.empty = setting.empty || setting.value == "None";  // as Python writes it
    builder.take(setting);
  }
  ConfigLayer layer = builder.finish();
  layer.from_file = false;
  return layer;
}

}  // namespace qwen
