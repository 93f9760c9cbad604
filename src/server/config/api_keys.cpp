#include "server/config/api_keys.h"

#include <algorithm>

#include "base/json_string.h"
#include "server/config/value_text.h"
#include "server/config/yaml_settings.h"

namespace qwen {
namespace {

constexpr size_t kMaxName = 64, kMaxKey = 512;

bool all_of(std::string_view text, bool (*allowed)(char)) { return std::all_of(text.begin(), text.end(), allowed); }

[[noreturn]] void refuse() {
  throw Disallowed{str("name:key,name:key, names unique and of at most ", kMaxName,
                       " letters, digits, dots, - and _, keys of at most ", kMaxKey, " printable ASCII characters")};
}

void add(std::map<std::string, std::string>& keys, const std::string& name, const std::string& key) {
  check_api_key(name, key);
  if (!keys.emplace(name, key).second) refuse();
}

}  // namespace

void check_api_key(const std::string& name, const std::string& key) {
  const bool plain_name = !name.empty() && name.size() <= kMaxName && all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
           c == '-';
  });
  const bool plain_key =
      !key.empty() && key.size() <= kMaxKey && all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain_name || !plain_key || key == "None") refuse();
}

std::map<std::string, std::string> parse_api_keys(const std::string& text) {
  std::map<std::string, std::string> keys;
  if (!text.empty() && text.front() == '{') {
    for (const YamlSetting& setting : read_yaml_settings(text, "api_keys")) add(keys, setting.path, setting.value);
    return keys;
  }
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const size_t colon = std::min(text.find(':', at), end);
    add(keys, text.substr(at, colon - at), colon == end ? "" : text.substr(colon + 1, end - colon - 1));
    at = end + 1;
  }
  return keys;
}

std::string api_keys_text(const std::map<std::string, std::string>& keys) {
  std::string text;
  for (const auto& [name, key] : keys) {
    text += text.empty() ? "{" : ", ";
    append_json_string(text, name);
    text += ": ";
    append_json_string(text, key);
  }
  return text.empty() ? text : text + '}';
}

}  // namespace qwen
