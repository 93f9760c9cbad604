// An API key as the configuration says it: the key, what it may do and how much. Plain data.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace qwen {

// What a key is good for; admin stands for all. A key that does not say generates and reads figures, which is what the
// deployment guide's keys do.
struct Scopes {
  bool generate = true, metrics = true, admin = false;
  bool operator==(const Scopes&) const = default;
};

struct ApiKey {
  std::string key;  // as it is sent, or "sha256:" and the 64 hexadecimal digits of its digest
  Scopes scopes;
  std::optional<int> requests_per_minute, tokens_per_minute;  // 0 = no limit; unset = that of all keys
  bool operator==(const ApiKey&) const = default;
};

using ApiKeys = std::map<std::string, ApiKey>;  // by name

}  // namespace qwen
