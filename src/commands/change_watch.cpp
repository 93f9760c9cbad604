#include "commands/change_watch.h"

#include "base/error.h"
#include "base/log.h"
#include "server/config/config_review.h"

namespace qwen {

ChangeWatch::ChangeWatch(EffectiveConfig running, std::function<EffectiveConfig()> read,
                         std::function<void(const ServiceConfig&)> apply, const Files& files,
                         const std::string& model_path)
    : read_(std::move(read)), live_(std::move(running), read_, std::move(apply)) {
  if (!files) return;
  files_.emplace(
      [files] {
        try {
          return files();
        } catch (const Error&) {
          return std::vector<std::string>();
        }
      },
      model_path);
}

bool ChangeWatch::restart_wanted() {
  const std::optional<std::string> changed = files_ ? files_->look() : std::nullopt;
  if (!changed) return false;
  try {
    review_config(read_());
  } catch (const Error& error) {
    log_error(*changed, " changed, but the service is not restarted: ", error.what());
    return false;
  }
  log_info(*changed, " changed: restarting");
  return true;
}

}  // namespace qwen
