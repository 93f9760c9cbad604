// What a model folder is made of, so that replacing one removes nothing else: flat files with the names that model
// folders have, beside a config.json of a model and its weights.
#pragma once

#include <filesystem>
#include <string>

namespace qwen {

// Marks a folder that a writer is at work on, or is about to remove. It may be there in a model folder, too: where a
// process was killed between two steps.
inline constexpr const char* kFolderMarker = ".qwen-thinking-partial";

// Weights, JSON, templates, vocabularies, model cards, licences.
bool is_model_file_name(const std::string& name);

// Throws kCannotCreate, naming what is missing or the entry that belongs to no model, unless `folder` is a model folder
// and nothing else.
void check_is_model_folder(const std::filesystem::path& folder);

// Whether removing the files of `folder` would take away what `file` leads to, be it through symbolic links on the way
// or another mount of the folder. False where either is absent.
bool leads_into(const std::filesystem::path& file, const std::filesystem::path& folder);

// Removes files of such names and those ending in ".partial"; the folder, the marker and what cannot be removed stay.
void remove_model_files(const std::filesystem::path& folder) noexcept;

}  // namespace qwen
