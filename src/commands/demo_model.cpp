#include "commands/demo_model.h"

#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

bool holds_model(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.json", ignored);
}

}  // namespace

std::string model_or_demo(const std::string& folder, bool demo) {
  if (!demo || holds_model(folder)) return folder;
  std::error_code ignored;
  const fs::path binary = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::array<fs::path, 4> places = {binary / "models/demo", binary.parent_path() / "models/demo", "models/demo",
                                          "/usr/share/qwen-thinking/demo"};
  for (const fs::path& place : places) {
    if (!holds_model(place)) continue;
    log_warning(folder, " holds no model: serving the demonstration model ", place.string(),
                ", which knows a little arithmetic and cryptography and nothing else");
    return place.string();
  }
  throw Error(ErrorCode::kMissingFile,
              str("--demo: ", folder, " holds no model and the demonstration model is not in ", places[1].string(),
                  ", ", places[2].string(), " or ", places[3].string(), "; give --model"));
}

}  // namespace qwen
