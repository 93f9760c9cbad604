// See packed_file_places.h.
#include "weights/packed_file_places.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <system_error>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

bool good_beside(const fs::path& model) {
  const fs::path parent = model.parent_path();
  if (parent == model || parent.filename() == "snapshots") return false;
  struct stat around {
  }, own{};
  return ::stat(parent.c_str(), &around) == 0 && ::stat(model.c_str(), &own) == 0 && around.st_dev == own.st_dev &&
         (around.st_mode & S_IWOTH) == 0;
}

}  // namespace

std::vector<fs::path> packed_file_places(const fs::path& model_dir, std::string_view format, const std::string& folder,
                                         const std::function<const char*(const char*)>& lookup) {
  std::error_code error;
  fs::path model = fs::weakly_canonical(model_dir, error);
  if (error) model = model_dir;
  if (model.filename().empty()) model = model.parent_path();
  const std::string suffix = str('.', format, ".packed");
  // In a folder of many models: two of one name are told apart.
  const std::string shared_name = str(model.filename().string(), '-', to_hex(xxh64(model.native()), 8), suffix);
  if (!folder.empty()) return {fs::path(folder) / shared_name};

  std::vector<fs::path> places;
  if (good_beside(model)) places.push_back(model.parent_path() / (model.filename().string() + suffix));
  const auto variable = [&](const char* name) {
    const char* const value = lookup(name);
    return std::string(value == nullptr ? "" : value);
  };
  // A relative path is not allowed in either; systemd separates several folders by colons.
  if (const std::string text = variable("CACHE_DIRECTORY"); text.starts_with('/'))
    places.push_back(fs::path(text.substr(0, text.find(':'))) / shared_name);
  if (const std::string text = variable("XDG_CACHE_HOME"); text.starts_with('/'))
    places.push_back(fs::path(text) / "qwen-thinking" / shared_name);
  else if (const std::string home = variable("HOME"); home.starts_with('/'))
    places.push_back(fs::path(home) / ".cache" / "qwen-thinking" / shared_name);
  return places;
}

bool on_memory_file_system(const fs::path& path) {
  struct statfs info {};
  for (fs::path place = path; ::statfs(place.empty() ? "." : place.c_str(), &info) != 0;) {
    if (place.empty() || place == place.parent_path()) return false;
    place = place.parent_path();
  }
  const auto type = static_cast<uint32_t>(info.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

}  // namespace qwen
