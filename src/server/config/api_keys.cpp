#include "server/config/api_keys.h"

#include <algorithm>

#include "base/json_string.h"
#include "base/quote.h"
#include "server/access/key_digest.h"
#include "server/config.h"
#include "server/config/value_text.h"
#include "server/config/yaml_settings.h"

namespace qwen {
namespace {

constexpr size_t kMaxName = 64, kMaxKey = 512;
constexpr int kMaxRate = 1'000'000'000;

bool all_of(std::string_view text, bool (*allowed)(char)) { return std::all_of(text.begin(), text.end(), allowed); }

[[noreturn]] void refuse() {
  throw Disallowed{str("name:key,name:key, names unique and of at most ", kMaxName,
                       " letters, digits, - and _, keys of at most ", kMaxKey,
                       " printable ASCII characters or sha256: and 64 hexadecimal digits")};
}

void set_key(ApiKey& entry, const std::string& key) {
  const bool plain = !key.empty() && key.size() <= kMaxKey && all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (key.starts_with(kHashedKeyPrefix) && !well_formed_key(key))
    throw Disallowed{str(kHashedKeyPrefix,
                         " and exactly 64 hexadecimal digits; sha256sum writes a file's name behind them, which "
                         "| cut -c1-64 takes away")};
  if (!plain || key == "None")
    throw Disallowed{str("a key of at most ", kMaxKey, " printable ASCII characters without spaces, or ",
                         kHashedKeyPrefix, " and 64 hexadecimal digits")};
  entry.key = key;
}

void set_scopes(ApiKey& entry, const std::string& text) {
  Scopes scopes{false, false, false};
  std::string list = text;
  std::replace(list.begin(), list.end(), ',', ' ');
  const auto names = words(list);
  for (const std::string& name : names) {
    if (name == "generate") scopes.generate = true;
    if (name == "metrics") scopes.metrics = true;
    if (name == "admin") scopes.admin = true;
    if (!name.empty()) one_of(name, {"generate", "metrics", "admin"});
  }
  if (scopes == Scopes{false, false, false}) throw Disallowed{"one or more of generate, metrics, admin"};
  entry.scopes = scopes;
}

std::string scopes_text(const Scopes& scopes) {
  std::string text;
  for (const auto& [has, name] :
       {std::pair(scopes.generate, "generate"), std::pair(scopes.metrics, "metrics"), std::pair(scopes.admin, "admin")})
    if (has) text.append(text.empty() ? "" : ",").append(name);
  return text;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

// set_api_key for a text of several keys, where nothing else says which of them is wrong: its name and member, never
// its value, and no name that is none and could be a piece of a key.
void set_one_of(ApiKeys& keys, const std::string& path, const std::string& value) {
  if (!is_name(path.substr(0, path.find('.')))) refuse();
  try {
    set_api_key(keys, path, value);
  } catch (const Disallowed& problem) {
    throw Disallowed{str("keys that can be used: ", escape_controls("api_keys." + path), " must be ", problem.allowed)};
  }
}

}  // namespace

void set_api_key(ApiKeys& keys, const std::string& path, const std::string& value) {
  const size_t dot = path.find('.');
  const std::string name = path.substr(0, dot);
  if (!is_name(name)) refuse();
  if (dot == path.npos) return set_key(keys[name], value);
  const std::string member = path.substr(dot + 1);
  if (member == "key") return set_key(keys[name], value);
  if (member == "scopes") return set_scopes(keys[name], value);
  if (member == "requests_per_minute")
    return static_cast<void>(keys[name].requests_per_minute = parse_number<int>(value, 0, kMaxRate));
  if (member == "tokens_per_minute")
    return static_cast<void>(keys[name].tokens_per_minute = parse_number<int>(value, 0, kMaxRate));
  throw Disallowed{str("called key, scopes, requests_per_minute or tokens_per_minute: there is no ", quote(member))};
}

std::string api_keys_problem(const ApiKeys& keys) {
  std::vector<KeyDigest> digests;
  for (const auto& [name, entry] : keys) {
    if (entry.key.empty()) return str(name, " has no key");
    const KeyDigest digest = digest_of_configured(entry.key);
    if (find_digest(digests, digest) != kNoDigest) return str(name, " has the key of another name");
    digests.push_back(digest);
  }
  return {};
}

ApiKeys parse_api_keys(const std::string& text) {
  ApiKeys keys;
  if (!text.empty() && text.front() == '{') {
    for (const YamlSetting& setting : read_yaml_settings(text, "api_keys"))
      set_one_of(keys, setting.path, setting.empty ? "" : setting.value);
  } else {
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const size_t colon = std::min(text.find(':', at), end);
      const std::string name = text.substr(at, colon - at);
      if (name.find('.') != name.npos || keys.count(name) > 0) refuse();
      if (colon == end) refuse();  // what stands alone may be a key
      set_one_of(keys, name, text.substr(colon + 1, end - colon - 1));
      at = end + 1;
    }
  }
  if (const std::string problem = api_keys_problem(keys); !problem.empty())
    throw Disallowed{"one key for each name: " + problem};
  return keys;
}

std::string api_keys_text(const ApiKeys& keys) {
  std::string text;
  for (const auto& [name, entry] : keys) {
    text += text.empty() ? "{" : ", ";
    append_json_string(text, name);
    text += ": {\"key\": ";
    append_json_string(text, entry.key);
    text += str(", \"scopes\": \"", scopes_text(entry.scopes), '"');
    if (entry.requests_per_minute) text += str(", \"requests_per_minute\": ", *entry.requests_per_minute);
    if (entry.tokens_per_minute) text += str(", \"tokens_per_minute\": ", *entry.tokens_per_minute);
    text += '}';
  }
  return text.empty() ? text : text + '}';
}

}  // namespace qwen
