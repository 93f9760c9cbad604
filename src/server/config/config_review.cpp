#include "server/config/config_review.h"

#include <algorithm>

#include "server/cache/cache_options.h"
#include "server/config/config_faults.h"

namespace qwen {
namespace {

using Check = bool (*)(const ServiceConfig&);

struct Remark {
  std::string_view name;
  Check applies;  // to a value that was set, not the default's
  const char* text;
  LogLevel level = LogLevel::kInfo;
};

bool always(const ServiceConfig&) { return true; }
bool without_keys(const ServiceConfig& config) { return config.api_keys.empty(); }
bool on_cpu(const ServiceConfig& config) { return config.device == "cpu"; }

// Settings that are accepted and change nothing, or more than one may think.
constexpr Remark kWithoutEffect[] = {
    {"memory.enable_optimization", always,
     "has no effect: memory is always managed (quantized weights, paged KV cache)"},
    {"memory.gradient_checkpointing", [](const ServiceConfig& c) { return c.gradient_checkpointing; },
     "has no effect: gradients are of training, not of inference"},
    {"memory.cpu_offload", [](const ServiceConfig& c) { return c.cpu_offload && on_cpu(c); },
     "has no effect with model.device cpu: everything is in host memory already"},
    {"batch_config.batch_timeout", always,
     "has no effect: batching is continuous, a request joins the running ones at the next step and waits for no other"},
    {"gpu.visible_devices", on_cpu, "has no effect with model.device cpu"},
    {"gpu.memory_fraction", on_cpu, "has no effect with model.device cpu"},
    {"gpu.mixed_precision", on_cpu, "has no effect with model.device cpu: kernels always sum in f32 or in integers"},
    {"gpu.launch_blocking", [](const ServiceConfig& c) { return c.cuda_launch_blocking && on_cpu(c); },
     "has no effect with model.device cpu"},
    {"cache_config.redis_url", [](const ServiceConfig& c) { return !cache_enabled(c); },
     "has no effect: cache_config.enable is false"},
    {"security.requests_per_minute", without_keys, "has no effect: rates are those of API keys, and there are none"},
    {"security.tokens_per_minute", without_keys, "has no effect: rates are those of API keys, and there are none"},
    {"ssl_config.hsts_max_age", [](const ServiceConfig& c) { return c.ssl_cert_file.empty(); },
     "has no effect without a certificate (ssl_config.cert_file): it is said over HTTPS alone"},
    {"logging.prompts", [](const ServiceConfig& c) { return c.log_prompts; },
     "puts what clients ask into the log, for everybody who can read it", LogLevel::kWarning},
};

struct Refusal {
  std::string_view name;
  Check applies;
  const char* problem;
  std::string_view other;  // the setting that it does not go together with
};

// Settings that promise what is not there, or that want another: going on without it would be worse than not to start.
constexpr Refusal kRefused[] = {
    {"ssl_config.cert_file", [](const ServiceConfig& c) { return !c.ssl_cert_file.empty() && c.ssl_key_file.empty(); },
     "needs its private key: set ssl_config.key_file (SSL_KEYFILE), too", "ssl_config.key_file"},
    {"ssl_config.key_file", [](const ServiceConfig& c) { return c.ssl_cert_file.empty() && !c.ssl_key_file.empty(); },
     "needs its certificate: set ssl_config.cert_file (SSL_CERTFILE), too", "ssl_config.cert_file"},
};

void check_ports(const ServiceConfig& config, std::vector<ConfigNotice>& notices) {
  if (config.metrics_port == 0) return;
  if (!config.enable_metrics) {
    const auto origin = config.origins.find("monitoring.metrics_port");
    if (origin != config.origins.end() && !origin->second.from_file)
      throw wrong_setting(config, "monitoring.metrics_port", "needs metrics, which are switched off");
    notices.push_back({LogLevel::kInfo, "monitoring.metrics_port has no effect: metrics are switched off"});
  } else if (config.metrics_port == config.port) {
    throw wrong_setting(config, "monitoring.metrics_port", "is the port of the service itself; give it another");
  }
}

void check_times(const ServiceConfig& config) {
  const auto granted = config.stop_grace_period.count();
  const int needed = least_stop_grace_period(config);
  if (granted > 0 && granted < needed)
    throw wrong_setting(
        config, "server.stop_grace_period",
        str("is ", granted, " s but stopping takes up to server.drain_grace + server.drain_timeout + 5 = ", needed,
            " s; raise it there and where it is granted, or lower server.drain_timeout"));
}

// A key that can be guessed is none; the deployment guide's example is known to everybody.
void check_keys(const ServiceConfig& config, std::vector<ConfigNotice>& notices) {
  constexpr size_t kLeast = 16;
  for (const auto& [name, key] : config.api_keys)
    if (key.key.size() < kLeast || key.key == "your-secure-api-key")
      notices.push_back({LogLevel::kWarning, str("api_keys.", name, " can be guessed: it is shorter than ", kLeast,
                                                 " characters or an example of the documentation; openssl rand -hex "
                                                 "24 makes a better one")});
  const auto& origins = config.cors_origins;
  if (config.api_keys.empty() && std::find(origins.begin(), origins.end(), "*") != origins.end())
    notices.push_back({LogLevel::kWarning,
                       "security.cors_origins is * and there are no API keys: every web page that "
                       "somebody here opens may use the service"});
}

}  // namespace

int least_stop_grace_period(const ServiceConfig& config) {
  constexpr int kLastWords = 5;  // errors to what did not finish, logs
  return static_cast<int>((config.drain_grace + config.drain_timeout).count()) + kLastWords;
}

std::vector<ConfigNotice> review_config(const EffectiveConfig& effective, ConfigFaults* faults) {
  const ServiceConfig& config = effective.config;
  for (const Refusal& refusal : kRefused)
    attempt(faults, {refusal.name, refusal.other}, [&] {
      if (refusal.applies(config)) throw wrong_setting(config, refusal.name, refusal.problem);
    });
  std::vector<ConfigNotice> notices;
  attempt(faults, {"server.port", "monitoring.metrics_port", "monitoring.enable_metrics"},
          [&] { check_ports(config, notices); });
  attempt(faults, {"server.stop_grace_period", "server.drain_grace", "server.drain_timeout"},
          [&] { check_times(config); });
  check_keys(config, notices);
  for (const Remark& remark : kWithoutEffect) {
    const auto value = std::find_if(effective.values.begin(), effective.values.end(),
                                    [&](const EffectiveValue& one) { return one.name == remark.name; });
    if (value == effective.values.end() || value->origin == "default" || !remark.applies(config)) continue;
    const bool secret = remark.name == "cache_config.redis_url";
    notices.push_back({remark.level, str(value->subject, " (", secret ? "****" : value->value, ") ", remark.text)});
  }
  return notices;
}

}  // namespace qwen
