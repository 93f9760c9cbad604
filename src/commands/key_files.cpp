#include "commands/key_files.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "base/quote.h"
#include "server/access/key_digest.h"

namespace qwen {

void warn_of_readable_keys(const EffectiveConfig& effective) {
  const ApiKeys& keys = effective.config.api_keys;
  const bool plain = std::any_of(keys.begin(), keys.end(), [](const auto& entry) {
    return entry.second.key.compare(0, kHashedKeyPrefix.size(), kHashedKeyPrefix) != 0;
  });
  const auto value = std::find_if(effective.values.begin(), effective.values.end(),
                                  [](const EffectiveValue& one) { return one.name == "api_keys"; });
  if (!plain || value == effective.values.end()) return;
  const std::string file = value->origin.substr(0, value->origin.rfind(':'));  // of "FILE:LINE"
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0)
    log_warning(
        escape_controls(file),
        ": everybody on this machine may read the API keys in it; chmod o-r, or write sha256: and their digests");
}

}  // namespace qwen
