// The text of the setting api_keys: "name:key,name:key", or a dictionary as YAML, JSON and Python spell it, where a key
// may also be a dictionary of its own: {key, scopes, requests_per_minute, tokens_per_minute}.
#pragma once

#include <string>

#include "server/access/api_key.h"

namespace qwen {

// Throws Disallowed (value_text.h) and, for a dictionary that is none, Error kConfig; neither says a key.
ApiKeys parse_api_keys(const std::string& text);

// One setting of the dictionary: `path` is "production" (value: the key) or "production.scopes". Throws Disallowed;
// "None" is Python's word for no key.
void set_api_key(ApiKeys& keys, const std::string& path, const std::string& value);

// What is wrong with the whole; empty where nothing is. No name without a key, no key under two names.
std::string api_keys_problem(const ApiKeys& keys);

// Spelled so that parse_api_keys takes it. Secret.
std::string api_keys_text(const ApiKeys& keys);

}  // namespace qwen
