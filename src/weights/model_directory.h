// A model folder before anything in it is read.
#pragma once

#include <filesystem>
#include <string_view>

namespace qwen {

// Throws unless `model_dir` is a folder that can be listed: kMissingFile or kPermission, saying what it is instead and
// the mend.
void check_model_directory(const std::filesystem::path& model_dir);

// Whether the folder has an entry of this name, be it a symbolic link that leads nowhere (opening it then names the
// trouble).
bool has_entry(const std::filesystem::path& model_dir, std::string_view name);

}  // namespace qwen
