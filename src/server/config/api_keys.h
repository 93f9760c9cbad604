// The text of the setting api_keys: "name:key,name:key", or a dictionary as YAML, JSON and Python spell it.
#pragma once

#include <map>
#include <string>

namespace qwen {

// By name. Throws Disallowed (value_text.h) and, for a dictionary that is none, Error kConfig; neither says a key.
std::map<std::string, std::string> parse_api_keys(const std::string& text);

// Throws Disallowed for a name or key that parse_api_keys would not take; "None" is Python's word for no key.
void check_api_key(const std::string& name, const std::string& key);

// Spelled so that parse_api_keys takes it. Secret.
std::string api_keys_text(const std::map<std::string, std::string>& keys);

}  // namespace qwen
