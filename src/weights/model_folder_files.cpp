#include "weights/model_folder_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/mapped_file.h"

namespace qwen {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr int kMaxLinks = 40;  // as the kernel follows

[[noreturn]] void refuse(const fs::path& folder, const std::string& reason) {
  throw Error(ErrorCode::kCannotCreate,
              str(folder.string(), ": ", reason, ", so that it is not replaced; choose another --output"));
}

bool is_model_config(const fs::path& file) {
  try {
    const auto config = nlohmann::json::parse(read_text_file(file, kMaxConfigBytes), nullptr, false);
    return config.is_object() && (config.contains("model_type") || config.contains("architectures"));
  } catch (const Error&) {
    return false;
  }
}

bool holds_weights(const std::string& name) { return name.ends_with(".safetensors") || name.ends_with(".bin"); }

// Whether `place`, a folder, is `folder` or lies below it.
bool is_within(fs::path place, const fs::path& folder) {
  std::error_code error;
  for (place = fs::canonical(place, error); !error; place = place.parent_path()) {
    if (fs::equivalent(place, folder, error) && !error) return true;
    if (error || place == place.parent_path()) break;
  }
  return false;
}

}  // namespace

bool is_model_file_name(const std::string& name) {
  constexpr std::array kEndings = {".safetensors", ".bin", ".json", ".jinja", ".txt", ".md", ".model"};
  constexpr std::array kBeginnings = {"LICENSE", "LICENCE", "NOTICE", "README", "COPYING"};
  return name == ".gitattributes" ||
         (!name.starts_with('.') &&
          (std::any_of(kEndings.begin(), kEndings.end(), [&](const char* end) { return name.ends_with(end); }) ||
           std::any_of(kBeginnings.begin(), kBeginnings.end(),
                       [&](const char* word) { return name.starts_with(word); })));
}

void check_is_model_folder(const fs::path& folder) {
  bool weights = false;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == kFolderMarker) continue;
    std::error_code unknown;
    const bool flat = entry->is_regular_file(unknown) || (entry->is_symlink(unknown) && !entry->is_directory(unknown));
    if (!flat || !is_model_file_name(name)) refuse(folder, str("holds ", name, ", which belongs to no model"));
    weights = weights || holds_weights(name);
  }
  if (error) refuse(folder, str("cannot be looked into (", error.message(), ")"));
  if (!is_model_config(folder / "config.json")) refuse(folder, "holds no model (no config.json of one)");
  if (!weights) refuse(folder, "holds no model (no weights)");
}

bool leads_into(const fs::path& file, const fs::path& folder) {
  std::error_code error;
  fs::path place = fs::absolute(file, error);
  for (int links = 0; !error && links < kMaxLinks; ++links) {
    if (is_within(place.parent_path(), folder)) return true;
    if (!fs::is_symlink(place, error) || error) break;
    const fs::path target = fs::read_symlink(place, error);
    place = fs::canonical(place.parent_path(), error) / target;
  }
  return false;
}

void remove_model_files(const fs::path& folder) noexcept {
  try {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      std::error_code ignored;
      if ((is_model_file_name(name) || name.ends_with(".partial")) &&
          (entry->is_symlink(ignored) || !entry->is_directory(ignored)))
        fs::remove(entry->path(), ignored);
    }
  } catch (const std::exception&) {  // out of memory: they stay
  }
}

}  // namespace qwen
