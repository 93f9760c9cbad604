// Tells apart why a folder cannot be a model, so that the message can say what to do.
#include "weights/model_directory.h"

#include <unistd.h>

#include <system_error>

#include "base/error.h"
#include "base/quote.h"

namespace qwen {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMend = "; point --model at a Hugging Face folder (config.json and weights)";

[[noreturn]] void fail(ErrorCode code, const fs::path& path, const std::string& what, const char* mend = kMend) {
  constexpr size_t kMaxShown = 512;
  const std::string shown = path.native().size() > kMaxShown ? quote(path.native()) : path.native();
  throw Error(code, str(shown.empty() ? "the model folder" : shown, ": ", what, mend));
}

[[noreturn]] void deny(const fs::path& path) {
  fail(ErrorCode::kPermission, path, str("permission denied to user ", ::geteuid()),
       "; chmod -R a+rX lets everybody read it; each folder above it needs x");
}

}  // namespace

void check_model_directory(const fs::path& model_dir) {
  if (model_dir.empty()) fail(ErrorCode::kMissingFile, model_dir, "its path is empty");
  if (model_dir.native().find('\0') != std::string::npos)
    throw Error(ErrorCode::kMissingFile, str(quote(model_dir.native()), ": the path holds a NUL byte", kMend));
  std::error_code error;
  const fs::file_status status = fs::status(model_dir, error);
  if (status.type() == fs::file_type::not_found) {
    const bool dangling = fs::is_symlink(fs::symlink_status(model_dir, error));
    fail(ErrorCode::kMissingFile, model_dir, dangling ? "is a symbolic link that leads nowhere" : "no such folder");
  }
  if (error == std::errc::permission_denied) deny(model_dir);
  if (error) fail(ErrorCode::kMissingFile, model_dir, error.message());
  if (status.type() != fs::file_type::directory) fail(ErrorCode::kMissingFile, model_dir, "is a file, not a folder");
  const fs::directory_iterator entries(model_dir, error);
  if (error == std::errc::permission_denied) deny(model_dir);
  if (error) fail(ErrorCode::kMissingFile, model_dir, error.message());
  if (entries == fs::directory_iterator()) fail(ErrorCode::kMissingFile, model_dir, "the folder is empty");
}

bool has_entry(const fs::path& model_dir, std::string_view name) {
  std::error_code error;
  return fs::exists(fs::symlink_status(model_dir / name, error));
}

}  // namespace qwen
