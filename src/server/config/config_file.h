// The configuration files: which ones are read, and each as a ConfigLayer. Every key of a file is one of the table's or
// the start ends there, with file, line and the key that was meant.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace qwen {

// The files to read, the strongest last. `named` (--config), else those in the variables CONFIG_FILES (separated by
// colons) or CONFIG_FILE, where a folder stands for the two files in it and "none" for no file; else
// model_config.yaml and service_config.yaml of the first folder that has one of them: configs, /app/configs,
// /etc/qwen-thinking. `root` stands before the last two; for tests. Errors: kConfig for a named folder without files.
std::vector<std::string> find_config_files(const std::vector<std::string>& named,
                                           const std::function<const char*(const char*)>& lookup,
                                           const std::string& root = {});

// With `faults` what is wrong is kept there, and the rest is read. Sections of the guide in capitals (BATCH_CONFIG,
// CACHE_CONFIG, API_KEYS, SSL_CONFIG) are the same in small letters; a key without a value is not set. Errors: kConfig
// with file and line.
ConfigLayer read_config_file(const std::string& path, ConfigFaults* faults = nullptr);
ConfigLayer parse_config(std::string_view text, const std::string& name, ConfigFaults* faults = nullptr);

// The value of a variable that is named after a section. Errors: kConfig naming the variable.
ConfigLayer dictionary_layer(std::string_view text, const std::string& variable, ConfigFaults* faults = nullptr);

}  // namespace qwen
