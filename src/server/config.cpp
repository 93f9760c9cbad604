#include "server/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/kv_cache_dtype.h"

namespace qwen {
namespace {

// What a value may be, in words; thrown to resolve_config, which knows where the value came from.
struct Disallowed {
  std::string allowed;
};

template <typename Number>
Number parse_number(const std::string& text, Number low, Number high) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !(value >= low && value <= high))
    throw Disallowed{
        str(std::is_floating_point_v<Number> ? "a number from " : "a whole number from ", low, " to ", high)};
  return value;
}

template <auto Member, int Low, int High>
void set_int(ServiceConfig& config, const std::string& text) {
  config.*Member = parse_number<int>(text, Low, High);
}

template <auto Member>
void set_text(ServiceConfig& config, const std::string& text) {
  if (text.empty()) throw Disallowed{"not empty"};
  config.*Member = text;
}

template <auto Member, int Low, int High>
void set_seconds(ServiceConfig& config, const std::string& text) {
  config.*Member = std::chrono::seconds(parse_number<int>(text, Low, High));
}

template <auto Member>
void set_limit(ServiceConfig& config, const std::string& text) {
  const double seconds = parse_number<double>(text, 0.1, 86400);
  config.http.*Member = std::chrono::milliseconds(std::llround(seconds * 1000));
}
template <auto Member>
std::string show_limit(const ServiceConfig& config) {
  return str(std::chrono::duration<double>(config.http.*Member).count());
}

// How a value is shown.
std::string to_text(const std::string& value) { return value; }
std::string to_text(bool value) { return value ? "true" : "false"; }
std::string to_text(std::chrono::seconds value) { return std::to_string(value.count()); }
std::string to_text(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      break;
  }
  return "ERROR";
}
template <typename Number>
std::string to_text(Number value) {
  return str(value);
}

template <auto Member>
std::string show(const ServiceConfig& config) {
  return to_text(config.*Member);
}

bool parse_bool(const std::string& text) {
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off") return false;
  throw Disallowed{"true or false"};
}

template <typename Names = std::initializer_list<std::string_view>>
std::string one_of(const std::string& text, const Names& allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const std::string_view name : allowed) list.append(list.empty() ? "" : ", ").append(name);
  throw Disallowed{"one of " + list};
}

// "8GiB", "512M", "1000000": K, M, G are powers of 1024 here, as elsewhere in the service.
size_t parse_bytes(const std::string& text) {
  static constexpr uint64_t kMax = uint64_t{1} << 50;
  const char* const end = text.data() + text.size();
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  int shift = -1;
  if (unit.empty() || unit == "B") shift = 0;
  if (unit == "K" || unit == "KB" || unit == "KiB") shift = 10;
  if (unit == "M" || unit == "MB" || unit == "MiB") shift = 20;
  if (unit == "G" || unit == "GB" || unit == "GiB") shift = 30;
  if (error != std::errc() || shift < 0 || value > kMax >> shift)
    throw Disallowed{"a size such as 512MiB or 8GiB, at most 1024 TiB"};
  return static_cast<size_t>(value << shift);
}

LogLevel parse_log_level(const std::string& text) {
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  if (upper == "DEBUG") return LogLevel::kDebug;
  if (upper == "INFO") return LogLevel::kInfo;
  if (upper == "WARNING" || upper == "WARN") return LogLevel::kWarning;
  if (upper == "ERROR" || upper == "CRITICAL") return LogLevel::kError;
  throw Disallowed{"one of DEBUG, INFO, WARNING, ERROR, CRITICAL"};
}

struct Row {
  ConfigKey key;
  void (*set)(ServiceConfig&, const std::string&);
  std::string (*show)(const ServiceConfig&);  // spelled so that set() takes it; empty: nothing is set
};

using C = ServiceConfig;
constexpr int kMillion = 1'000'000;

constexpr auto kRows = std::to_array<Row>({
    {{"model.path", "model", "MODEL_PATH", "Model folder: config.json, tokenizer.json, weights"},
     set_text<&C::model_path>,
     show<&C::model_path>},
    {{"model.name", "model-name", "MODEL_NAME", "Name that clients see; default: the folder's"},
     set_text<&C::model_name>,
     show<&C::model_name>},
    {{"model.quantization.format", "quantization", "QUANTIZATION_FORMAT", "none, int8, int4, int4-g64 or gptq"},
     [](C& c, const std::string& text) {
       c.quantization_format = one_of(text, {"none", "int8", "int4", "int4-g64", "gptq"});
     },
     show<&C::quantization_format>},
    {{"model.quantization.head_format", "head-format", "HEAD_FORMAT",
      "Embedding and head: int8, none (as in the folder), auto (int8 where the layers are int8 or int4)"},
     [](C& c, const std::string& text) {
       c.head_format = one_of(text, {"auto", "none", "int8"});
     },
     show<&C::head_format>},
    {{"model.cache_dir", "cache-dir", "CACHE_DIR",
      "Folder for quantized weights; none: every start quantizes; default: beside the model, else the user's cache"},
     set_text<&C::cache_dir>,
     show<&C::cache_dir>},
    {{"model.weights", "weights", "WEIGHTS",
      "Quantized weights: copy (into huge pages: fastest), mmap (processes share them)"},
     [](C& c, const std::string& text) {
       c.weights = one_of(text, {"copy", "mmap"});
     },
     show<&C::weights>},
    {{"model.chat_template", "chat-template", "CHAT_TEMPLATE",
      "thinking-2507, hybrid or instruct; default: recognised"},
     [](C& c, const std::string& text) {
       c.chat_template = one_of(text, {"thinking-2507", "hybrid", "instruct"});
     },
     show<&C::chat_template>},
    {{"model.demo", "demo", "DEMO", "Serve the demonstration model where the folder holds none", true},
     [](C& c, const std::string& text) { c.demo = parse_bool(text); },
     show<&C::demo>},
    {{"model.device", "device", "DEVICE", "cpu, or cuda:N where built with CUDA"},
     set_text<&C::device>,
     show<&C::device>},
    {{"model.kernels", "kernels", "KERNELS", "auto, or one of those that the version command lists"},
     set_text<&C::kernels>,
     show<&C::kernels>},
    {{"model.threads", "threads", "THREADS", "Compute threads; 0 = the physical cores this process may use"},
     set_int<&C::threads, 0, 1024>,
     show<&C::threads>},
    {{"server.host", "host", "HOST", "Address to listen on"}, set_text<&C::host>, show<&C::host>},
    {{"server.port", "port", "PORT", "Port to listen on; 0 = any free one"},
     set_int<&C::port, 0, 65535>,
     show<&C::port>},
    {{"server.io_threads", "io-threads", "IO_THREADS", "Threads for connections; 0 = chosen"},
     set_int<&C::io_threads, 0, 64>,
     show<&C::io_threads>},
    {{"server.text_threads", "text-threads", "TEXT_THREADS", "Threads that parse and tokenize; 0 = chosen"},
     set_int<&C::text_threads, 0, 64>,
     show<&C::text_threads>},
    {{"server.timeout", "timeout", "REQUEST_TIMEOUT", "Seconds after which a request is ended"},
     set_seconds<&C::request_timeout, 1, 86400>,
     show<&C::request_timeout>},
    {{"server.drain_timeout", "drain-timeout", "DRAIN_TIMEOUT", "Seconds that running requests get after SIGTERM"},
     set_seconds<&C::drain_timeout, 0, 86400>,
     show<&C::drain_timeout>},
    {{"server.max_connections", "max-connections", "MAX_CONNECTIONS", "Open connections at most"},
     [](C& c, const std::string& text) { c.http.max_connections = parse_number<int>(text, 1, kMillion); },
     [](const C& c) { return to_text(c.http.max_connections); }},
    {{"server.max_connections_per_client", "max-connections-per-client", "MAX_CONNECTIONS_PER_CLIENT",
      "The same by client address"},
     [](C& c, const std::string& text) { c.http.max_connections_per_client = parse_number<int>(text, 1, kMillion); },
     [](const C& c) { return to_text(c.http.max_connections_per_client); }},
    {{"server.max_body", "max-body", "MAX_BODY", "Largest request body"},
     [](C& c, const std::string& text) {
       const size_t bytes = parse_bytes(text);
       if (bytes < 1024 || bytes > size_t{1} << 30) throw Disallowed{"a size from 1KiB to 1GiB"};
       c.http.max_body_bytes = bytes;
     },
     [](const C& c) { return to_text(c.http.max_body_bytes); }},
    {{"server.max_batch_prompts", "max-batch-prompts", "MAX_BATCH_PROMPTS", "Prompts of one request at most"},
     set_int<&C::max_batch_prompts, 1, 4096>,
     show<&C::max_batch_prompts>},
    {{"server.header_timeout", "header-timeout", "HEADER_TIMEOUT", "Seconds that a request's header may take"},
     set_limit<&HttpLimits::header_timeout>,
     show_limit<&HttpLimits::header_timeout>},
    {{"server.body_timeout", "body-timeout", "BODY_TIMEOUT", "Seconds that a request's body may take"},
     set_limit<&HttpLimits::body_timeout>,
     show_limit<&HttpLimits::body_timeout>},
    {{"server.idle_timeout", "idle-timeout", "IDLE_TIMEOUT", "Seconds that a connection may wait between requests"},
     set_limit<&HttpLimits::idle_timeout>,
     show_limit<&HttpLimits::idle_timeout>},
    {{"server.write_stall_timeout", "write-stall-timeout", "WRITE_STALL_TIMEOUT",
      "Seconds after which a client that takes no byte of its answer is cut off"},
     set_limit<&HttpLimits::write_stall_timeout>,
     show_limit<&HttpLimits::write_stall_timeout>},
    {{"server.heartbeat", "heartbeat", "HEARTBEAT", "Seconds of silence on a stream after which a comment is sent"},
     set_limit<&HttpLimits::heartbeat>,
     show_limit<&HttpLimits::heartbeat>},
    {{"engine.max_model_len", "max-model-len", "MAX_MODEL_LEN",
      "Most tokens of a sequence; 0 = what model and memory allow"},
     set_int<&C::max_model_len, 0, 100 * kMillion>,
     show<&C::max_model_len>},
    {{"engine.max_num_seqs", "max-num-seqs", "MAX_NUM_SEQS BATCH_SIZE", "Sequences computed together"},
     set_int<&C::max_num_seqs, 1, 4096>,
     show<&C::max_num_seqs>},
    {{"engine.max_num_batched_tokens", "max-num-batched-tokens", "MAX_NUM_BATCHED_TOKENS", "Tokens of one step"},
     set_int<&C::max_num_batched_tokens, 1, kMillion>,
     show<&C::max_num_batched_tokens>},
    {{"engine.max_waiting", "max-waiting", "MAX_WAITING", "Requests that may wait; past it 503"},
     set_int<&C::max_waiting, 0, kMillion>,
     show<&C::max_waiting>},
    {{"engine.max_wait", "max-wait", "MAX_WAIT",
      "Seconds that a request may wait for its turn; past them 503; 0 = until its deadline"},
     set_seconds<&C::max_wait, 0, 86400>,
     show<&C::max_wait>},
    {{"engine.kv_cache", "kv-cache", "KV_CACHE", "Memory for keys and values, e.g. 8GiB; 0 = derived from free memory"},
     [](C& c, const std::string& text) { c.kv_cache_bytes = parse_bytes(text); },
     show<&C::kv_cache_bytes>},
    {{"engine.kv_cache_dtype", "kv-cache-dtype", "KV_CACHE_DTYPE",
      "Of keys and values: auto (what the kernels prefer), bfloat16, or int8 with a scale for each token and head"},
     [](C& c, const std::string& text) { c.kv_cache_dtype = one_of(text, kKvCacheDtypes); },
     show<&C::kv_cache_dtype>},
    {{"inference.default_max_length", "default-max-length", "DEFAULT_MAX_LENGTH",
      "New tokens where a /generate request does not say"},
     set_int<&C::default_max_length, 1, 100 * kMillion>,
     show<&C::default_max_length>},
    {{"inference.temperature", "default-temperature", "DEFAULT_TEMPERATURE TEMPERATURE",
      "Temperature of /generate by default"},
     [](C& c, const std::string& text) { c.default_temperature = parse_number<float>(text, 0, 2); },
     show<&C::default_temperature>},
    {{"inference.top_p", "default-top-p", "DEFAULT_TOP_P TOP_P", "top_p of /generate by default"},
     [](C& c, const std::string& text) { c.default_top_p = parse_number<float>(text, 1e-6f, 1); },
     show<&C::default_top_p>},
    {{"inference.max_length", "max-length", "MAX_LENGTH",
      "Most new tokens of a request on the native routes; 0 = what fits"},
     set_int<&C::max_length, 0, 100 * kMillion>,
     show<&C::max_length>},
    {{"inference.max_completion_tokens", "max-completion-tokens", "MAX_COMPLETION_TOKENS", "The same on /v1"},
     set_int<&C::max_completion_tokens, 0, 100 * kMillion>,
     show<&C::max_completion_tokens>},
    {{"thinking.tokens_per_depth", "tokens-per-depth", "THINKING_TOKENS_PER_DEPTH",
      "Thinking tokens of /thinking for each step of thinking_depth"},
     set_int<&C::tokens_per_depth, 1, kMillion>,
     show<&C::tokens_per_depth>},
    {{"monitoring.enable_metrics", "enable-metrics", "ENABLE_METRICS", "Whether there is /metrics: true or false"},
     [](C& c, const std::string& text) { c.enable_metrics = parse_bool(text); },
     show<&C::enable_metrics>},
    {{"monitoring.metrics_port", "metrics-port", "METRICS_PORT",
      "A port that serves /metrics and the probes alone; 0 = none"},
     set_int<&C::metrics_port, 0, 65535>,
     show<&C::metrics_port>},
    {{"logging.level", "log-level", "LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR"},
     [](C& c, const std::string& text) { c.log_level = parse_log_level(text); },
     show<&C::log_level>},
});

constexpr auto kKeys = [] {
  std::array<ConfigKey, kRows.size()> keys;
  for (size_t i = 0; i < kRows.size(); ++i) keys[i] = kRows[i].key;
  return keys;
}();

void apply(const Row& row, const ConfigLayer::Entry& entry, ErrorCode code, ServiceConfig& config) {
  try {
    row.set(config, entry.value);
  } catch (const Disallowed& problem) {
    throw Error(code, str(entry.origin, " is \"", entry.value, "\" but must be ", problem.allowed),
                std::string(row.key.name));
  }
}

void reject_unknown_keys(const ConfigLayer& layer) {
  for (const auto& [name, entry] : layer.entries) {
    const auto known = [&, &wanted = name](const ConfigKey& key) { return key.name == wanted; };
    if (std::none_of(kKeys.begin(), kKeys.end(), known))
      throw Error(layer.wrong_value, str(entry.origin, ": there is no setting ", name), name);
  }
}

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

std::string default_value(std::string_view name) {
  const auto row =
      std::find_if(kRows.begin(), kRows.end(), [&](const Row& candidate) { return candidate.key.name == name; });
  QWEN_CHECK(row != kRows.end());
  return row->show(ServiceConfig());
}

ConfigLayer environment_layer(const std::function<const char*(const char*)>& lookup) {
  ConfigLayer layer;
  for (const ConfigKey& key : kKeys) {
    std::string_view rest = key.environment;
    while (!rest.empty()) {
      const size_t space = std::min(rest.find(' '), rest.size());
      const std::string variable(rest.substr(0, space));
      rest.remove_prefix(std::min(space + 1, rest.size()));
      const char* const value = lookup(variable.c_str());
      if (value == nullptr || *value == '\0') continue;
      layer.entries.emplace(key.name, ConfigLayer::Entry{value, variable});
      break;
    }
  }
  return layer;
}

EffectiveConfig resolve_config(std::span<const ConfigLayer> layers) {
  for (const ConfigLayer& layer : layers) reject_unknown_keys(layer);
  EffectiveConfig effective;
  for (const Row& row : kRows) {
    EffectiveValue value{row.key.name, row.show(effective.config), "default"};
    for (const ConfigLayer& layer : layers) {
      const auto found = layer.entries.find(row.key.name);
      if (found == layer.entries.end()) continue;
      apply(row, found->second, layer.wrong_value, effective.config);
      value.value = found->second.value;
      value.origin = found->second.origin;
      effective.config.origins[std::string(row.key.name)] = {value.origin, layer.wrong_value};
      break;
    }
    effective.values.push_back(std::move(value));
  }
  return effective;
}

Error wrong_setting(const ServiceConfig& config, std::string_view name, const std::string& problem) {
  const auto origin = config.origins.find(name);
  if (origin == config.origins.end()) return {ErrorCode::kConfig, str(name, " ", problem), std::string(name)};
  return {origin->second.wrong_value, str(origin->second.name, " ", problem), std::string(name)};
}

}  // namespace qwen
