// A YAML text as a flat list of settings. Only what configuration needs is read: one document, mappings of single
// values; no lists, anchors, aliases or foreign tags. Knows no key of the service.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen {

class ConfigFaults;

struct YamlSetting {
  std::string path;  // keys from the outside in, joined by dots
  std::string value;
  int line = 0;        // of the value's key, from 1
  bool empty = false;  // "key:", "key: null" or "key: {}"
};

inline constexpr size_t kMaxYamlBytes = size_t{1} << 20;
inline constexpr size_t kMaxYamlSettings = 4096;
inline constexpr size_t kMaxYamlKey = 128;
inline constexpr size_t kMaxYamlDepth = 8;

// In the order of the text; paths are unique, those of sections included. Memory is bounded
// by the constants above whatever the text says. Errors: kConfig "name:line: …" for everything else; no message repeats
// a value. With `faults` they are kept there, and what can be read is returned: a list is passed over, of two settings
// of one path the first one stands, and where the text is no YAML any more it ends.
std::vector<YamlSetting> read_yaml_settings(std::string_view text, const std::string& name,
                                            ConfigFaults* faults = nullptr);

}  // namespace qwen
