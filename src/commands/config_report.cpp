#include "commands/config_report.h"

#include <algorithm>
#include <cstdio>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/quote.h"
#include "commands/worker_process.h"
#include "server/cache/redis_address.h"
#include "server/config/config_review.h"

namespace qwen {
namespace {

constexpr size_t kNameWidth = 39, kValueWidth = 36;

std::string padded(std::string text, size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

bool is_secret(std::string_view name) {
  const auto keys = config_keys();
  return std::any_of(keys.begin(), keys.end(), [&](const ConfigKey& key) { return key.name == name && key.secret; });
}

}  // namespace

std::string shown_value(const EffectiveConfig& effective, const EffectiveValue& value) {
  if (value.value.empty()) return "-";
  if (!is_secret(value.name)) return escape_controls(value.value);
  if (value.name == "cache_config.redis_url") return escape_controls(masked_redis_url(value.value));
  std::string names;
  for (const auto& [name, key] : effective.config.api_keys)
    names.append(names.empty() ? "" : ",").append(name + ":****");
  return value.name == "api_keys" ? names : "****";
}

int report_faults(const ConfigFaults& faults) {
  int status = 0;
  for (const Error& fault : faults.all()) {
    std::fprintf(stderr, "qwen-thinking: %s\n", escape_controls(fault.what()).c_str());
    if (status == 0 || status == exit_status(ErrorCode::kUsage)) status = exit_status(fault.code());
  }
  if (faults.all().size() == ConfigFaults::kMost)
    std::fputs("qwen-thinking: that many faults are enough; mend these first\n", stderr);
  return status;
}

std::string config_report(const EffectiveConfig& effective, const std::vector<std::string>& files) {
  std::string report = "# files, the last one wins:";
  for (const std::string& file : files) report += ' ' + escape_controls(file);
  report += files.empty() ? " none\n" : "\n";
  for (const EffectiveValue& value : effective.values)
    report += padded(std::string(value.name), kNameWidth) + padded(shown_value(effective, value), kValueWidth) +
              escape_controls(value.origin) + '\n';
  if (const int workers = effective.config.workers; workers > 1) {
    const int cores = usable_cores();
    const ServiceConfig first = worker_config(effective.config, 0, workers, cores);
    report += str("# ", workers, " worker processes share ", cores, " cores: ", first.threads,
                  " compute threads for the first one, ", first.http.max_connections, " connections for each\n");
  }
  report += str("# stopping takes up to ", least_stop_grace_period(effective.config),
                " s: systemd's TimeoutStopSec, compose's stop_grace_period and Kubernetes' "
                "terminationGracePeriodSeconds (this and preStop's sleep) must be longer\n");
  return report;
}

}  // namespace qwen
