#include "commands/live_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "commands/config_report.h"
#include "server/config/config_review.h"

namespace qwen {
namespace {

void by_the_server(const ServiceConfig&) {}  // HttpServer::reload takes it over

// Settings that can change while the service runs.
struct LiveSetting {
  std::string_view name;
  void (*apply)(const ServiceConfig&);
};
constexpr LiveSetting kLive[] = {
    {"logging.level", [](const ServiceConfig& config) { set_log_level(config.log_level); }},
    {"api_keys", by_the_server},
    {"security.requests_per_minute", by_the_server},
    {"security.tokens_per_minute", by_the_server},
    {"security.open_routes", by_the_server},
};

const LiveSetting* find_live(std::string_view name) {
  const auto found = std::find_if(std::begin(kLive), std::end(kLive),
                                  [&](const LiveSetting& setting) { return setting.name == name; });
  return found == std::end(kLive) ? nullptr : found;
}

void take_origin(ServiceConfig& to, const ServiceConfig& from, std::string_view name) {
  const std::string key(name);
  to.origins.erase(key);
  if (const auto origin = from.origins.find(key); origin != from.origins.end()) to.origins.insert(*origin);
}

}  // namespace

void LiveConfig::reload(std::string_view asked_by) {
  EffectiveConfig next;
  try {
    next = read_();
    review_config(next);
  } catch (const Error& error) {
    return log_error(asked_by, ": the configuration stays as it is: ", error.what());
  }
  std::string changed, restart;
  std::vector<const LiveSetting*> to_apply;
  for (size_t i = 0; i < next.values.size(); ++i) {  // every key, in the table's order, in both
    const EffectiveValue &before = running_.values[i], &after = next.values[i];
    if (before.value == after.value) continue;
    const LiveSetting* live = find_live(after.name);
    std::string& list = live != nullptr ? changed : restart;
    list += str(list.empty() ? "" : ", ", after.name, " from ", shown_value(running_, before), " to ",
                shown_value(next, after), " (", after.origin, ")");
    if (live == nullptr) continue;
    to_apply.push_back(live);
    running_.values[i] = after;
    take_origin(running_.config, next.config, after.name);
    if (after.name == "api_keys") running_.config.api_keys = next.config.api_keys;  // whose names are shown next time
  }
  const std::string line =
      str(asked_by, ": configuration read again; ", changed.empty() ? "nothing changed" : "changed: ", changed,
          restart.empty() ? "" : "; needs a restart: ", restart);
  const bool heard = log_enabled(LogLevel::kInfo);  // said on that side of a change of the level where it is heard
  if (heard) log_info(line);
  for (const LiveSetting* live : to_apply) live->apply(next.config);
  if (!heard) log_info(line);
  if (apply_) apply_(next.config);
}

}  // namespace qwen
