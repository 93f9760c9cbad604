// The text of the setting api_keys: "name:key,name:key", or a dictionary as YAML, JSON and Python spell it.
#pragma once

#include <map>
#include <string>

namespace qwen {

// By name. Throws Disallowed (value_text.h) and, for a dictionary that is none, Error kConfig; neither says a key.
std::map<std::string, std::string> parse_api_keys(const std::string& text);

// Spelled so that parse_api_keys takes it. Secret.
std::string api_keys_text(const std::map<std::string, std::string>& keys);

}  // namespace qwen
