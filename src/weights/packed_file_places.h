// Where a file of packed weights may lie. Arithmetic on paths and questions to the file system; nothing is created.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

// Best first: beside the model folder ("models/Qwen3-4B.int4.packed"), in systemd's $CACHE_DIRECTORY, in the user's
// cache ($XDG_CACHE_HOME/qwen-thinking, ~/.cache/qwen-thinking); where `folder` is not empty, only there. A file has
// one name for one model folder, so that a new one replaces the old. Not beside a model in a Hugging Face cache, whose
// tools take every entry there for a revision, nor where anyone may put files (/tmp), nor on another file system than
// the model's (a container's own, around a mounted model, ends with the container). `lookup` is getenv or a test's
// stand-in.
std::vector<std::filesystem::path> packed_file_places(const std::filesystem::path& model_dir, std::string_view format,
                                                      const std::string& folder,
                                                      const std::function<const char*(const char*)>& lookup);

// Whether files there take memory instead of disk (tmpfs, ramfs). `path` need not exist: its nearest ancestor tells.
bool on_memory_file_system(const std::filesystem::path& path);

}  // namespace qwen
