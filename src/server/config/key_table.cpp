#include "server/config/key_table.h"

#include <algorithm>
#include <array>

#include "base/kv_cache_dtype.h"
#include "server/access/cors.h"
#include "server/access/trusted_proxies.h"
#include "server/cache/redis_address.h"
#include "server/config/api_keys.h"
#include "server/config/value_text.h"

namespace qwen {
namespace {

template <auto Member, int Low, int High>
void set_int(ServiceConfig& config, const std::string& text) {
  config.*Member = parse_number<int>(text, Low, High);
}

template <auto Member>
void set_bool(ServiceConfig& config, const std::string& text) {
  config.*Member = parse_bool(text);
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
  return to_text(std::chrono::duration<double>(config.http.*Member).count());
}

template <auto Member>
std::string show(const ServiceConfig& config) {
  return to_text(config.*Member);
}

using C = ServiceConfig;
constexpr int kMillion = 1'000'000;

constexpr auto kRows = std::to_array<ConfigRow>({
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
    {{"model.quantization.enable", "", "ENABLE_QUANTIZATION", "false: quantization.format none"},
     set_bool<&C::enable_quantization>,
     show<&C::enable_quantization>},
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
      "Quantized weights: copy (into huge pages: fastest), mmap (processes share them; default with several workers)"},
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
     set_bool<&C::demo>,
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
    {{"server.workers", "workers", "MAX_WORKERS", "Worker processes, each with its own engine; cores are divided"},
     set_int<&C::workers, 1, 1024>,
     show<&C::workers>},
    {{"server.listen_while_loading", "listen-while-loading", "LISTEN_WHILE_LOADING",
      "true: answers 503 while the model loads; false: refuses connections, which a balancer may repeat elsewhere"},
     set_bool<&C::listen_while_loading>,
     show<&C::listen_while_loading>},
    {{"server.io_threads", "io-threads", "IO_THREADS", "Threads for connections; 0 = chosen"},
     set_int<&C::io_threads, 0, 64>,
     show<&C::io_threads>},
    {{"server.text_threads", "text-threads", "TEXT_THREADS", "Threads that parse and tokenize; 0 = chosen"},
     set_int<&C::text_threads, 0, 64>,
     show<&C::text_threads>},
    {{"server.timeout", "timeout", "REQUEST_TIMEOUT", "Seconds after which a request is ended"},
     set_seconds<&C::request_timeout, 1, 86400>,
     show<&C::request_timeout>},
    {{"server.drain_grace", "drain-grace", "DRAIN_GRACE",
      "Seconds after SIGTERM in which new requests are still answered, while /readyz says that no more should come"},
     set_seconds<&C::drain_grace, 0, 3600>,
     show<&C::drain_grace>},
    {{"server.drain_timeout", "drain-timeout", "DRAIN_TIMEOUT", "Seconds that running requests get after that"},
     set_seconds<&C::drain_timeout, 0, 86400>,
     show<&C::drain_timeout>},
    {{"server.stop_grace_period", "", "STOP_GRACE_PERIOD",
      "Seconds that whoever stops the service waits before it kills it; 0 = unknown, else checked at start"},
     set_seconds<&C::stop_grace_period, 0, 86400>,
     show<&C::stop_grace_period>},
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
    {{.name = "engine.max_num_seqs",
      .flag = "max-num-seqs",
      .environment = "MAX_NUM_SEQS MAX_BATCH_SIZE BATCH_SIZE",
      .help = "Sequences computed together",
      .synonyms = "batch_config.max_batch_size inference.batch_size"},
     set_int<&C::max_num_seqs, 1, 4096>,
     show<&C::max_num_seqs>},
    {{"batch_config.enable_dynamic_batching", "", "ENABLE_DYNAMIC_BATCHING", "false: engine.max_num_seqs 1"},
     set_bool<&C::enable_dynamic_batching>,
     show<&C::enable_dynamic_batching>},
    {{"batch_config.batch_timeout", "", "BATCH_TIMEOUT", "Milliseconds to wait for a batch; none is waited for"},
     set_int<&C::batch_timeout_ms, 0, 60'000>,
     show<&C::batch_timeout_ms>},
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
    {{"engine.watchdog", "engine-watchdog", "ENGINE_WATCHDOG",
      "Seconds without a sign of life after which the engine is taken to hang; 0 = never"},
     set_seconds<&C::engine_watchdog, 0, 86400>,
     show<&C::engine_watchdog>},
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
    {{"memory.enable_optimization", "", "ENABLE_OPTIMIZATION", "Memory is always managed; true and false are the same"},
     set_bool<&C::enable_memory_optimization>,
     show<&C::enable_memory_optimization>},
    {{"memory.gradient_checkpointing", "", "GRADIENT_CHECKPOINTING", "Of training; nothing at inference"},
     set_bool<&C::gradient_checkpointing>,
     show<&C::gradient_checkpointing>},
    {{"memory.cpu_offload", "", "ENABLE_CPU_OFFLOAD", "Weights that the GPU has no room for stay in host memory"},
     set_bool<&C::cpu_offload>,
     show<&C::cpu_offload>},
    {{"gpu.visible_devices", "", "CUDA_VISIBLE_DEVICES GPU_ID", "GPUs that the CUDA runtime may see"},
     set_text<&C::cuda_visible_devices>,
     show<&C::cuda_visible_devices>},
    {{"gpu.memory_fraction", "", "CUDA_MEMORY_FRACTION", "Share of a GPU's memory that may be used"},
     [](C& c, const std::string& text) { c.cuda_memory_fraction = parse_number<float>(text, 0.01f, 1); },
     show<&C::cuda_memory_fraction>},
    {{"gpu.mixed_precision", "", "ENABLE_MIXED_PRECISION", "Sums in f32 over narrower numbers on the GPU"},
     set_bool<&C::mixed_precision>,
     show<&C::mixed_precision>},
    {{"gpu.launch_blocking", "", "CUDA_LAUNCH_BLOCKING", "Each GPU kernel is waited for"},
     set_bool<&C::cuda_launch_blocking>,
     show<&C::cuda_launch_blocking>},
    {{"cache_config.enable", "", "CACHE_ENABLE",
      "Whether answers are cached: true, false, or auto: where Redis is named"},
     [](C& c, const std::string& text) {
       c.cache_enable = text == "auto" ? std::nullopt : std::optional<bool>(parse_bool(text));
     },
     [](const C& c) { return c.cache_enable ? to_text(*c.cache_enable) : "auto"; }},
    {{"cache_config.ttl", "", "CACHE_TTL", "Seconds that a cached answer is kept"},
     set_seconds<&C::cache_ttl, 1, 365 * 86400>,
     show<&C::cache_ttl>},
    {{"cache_config.max_size", "", "CACHE_MAX_SIZE", "Memory for cached answers, e.g. 1GB"},
     [](C& c, const std::string& text) { c.cache_max_bytes = parse_bytes(text); },
     show<&C::cache_max_bytes>},
    {{"cache_config.max_entries", "", "CACHE_MAX_ENTRIES", "Cached answers in memory at most"},
     set_int<&C::cache_max_entries, 1, 100 * kMillion>,
     show<&C::cache_max_entries>},
    {{"cache_config.random", "", "CACHE_RANDOM", "Also cache answers drawn at random without a seed"},
     set_bool<&C::cache_random>,
     show<&C::cache_random>},
    {{"cache_config.shared", "", "CACHE_SHARED", "Whether API keys share cached answers"},
     set_bool<&C::cache_shared>,
     show<&C::cache_shared>},
    {{.name = "cache_config.redis_url",
      .environment = "REDIS_URL",
      .help = "A Redis for cached answers: redis://[user:password@]host[:port][/database] or unix:///socket",
      .secret = true},
     [](C& c, const std::string& text) {
       try {
         parse_redis_url(text);
       } catch (const Error& error) {
         throw Disallowed{str("the address of a Redis: ", error.what())};
       }
       c.redis_url = text;
     },
     show<&C::redis_url>},
    {{.name = "cache_config.redis_password",
      .environment = "REDIS_PASSWORD",
      .help = "Its password, where it is not in the address",
      .secret = true},
     set_text<&C::redis_password>,
     show<&C::redis_password>},
    {{"cache_config.redis_timeout_ms", "", "REDIS_TIMEOUT_MS", "Milliseconds that a look-up in Redis may take"},
     set_int<&C::redis_timeout_ms, 1, 1000>,
     show<&C::redis_timeout_ms>},
    {{.name = "api_keys",
      .environment = "API_KEYS",
      .help = "Who may use the service: name:key,name:key; empty = everybody",
      .secret = true},
     [](C& c, const std::string& text) { c.api_keys = parse_api_keys(text); },
     [](const C& c) { return api_keys_text(c.api_keys); }},
    {{"security.requests_per_minute", "", "REQUESTS_PER_MINUTE",
      "Requests of each API key that has no rate of its own; 0 = no limit"},
     set_int<&C::requests_per_minute, 0, 1000 * kMillion>,
     show<&C::requests_per_minute>},
    {{"security.tokens_per_minute", "", "TOKENS_PER_MINUTE", "The same for its tokens, prompts and answers"},
     set_int<&C::tokens_per_minute, 0, 1000 * kMillion>,
     show<&C::tokens_per_minute>},
    {{"security.open_routes", "", "OPEN_ROUTES",
      "Routes that need no API key, besides health: page, metrics, both (page,metrics) or none"},
     [](C& c, const std::string& text) {
       c.open_routes = one_of(text, {"page", "metrics", "page,metrics", "none"});
     },
     show<&C::open_routes>},
    {{"security.cors_origins", "cors-origins", "CORS_ORIGINS",
      "Pages of these origins may call the service from a browser; * = all"},
     [](C& c, const std::string& text) {
       c.cors_origins = parse_list(text, is_origin, "origins such as https://chat.example.com, or *");
     },
     show<&C::cors_origins>},
    {{"security.trusted_proxies", "trusted-proxies", "TRUSTED_PROXIES",
      "Addresses and networks whose X-Forwarded-For and X-Real-IP name the client in the access log"},
     [](C& c, const std::string& text) {
       c.trusted_proxies = parse_list(text, is_network, "addresses and networks such as 172.20.0.0/16");
     },
     show<&C::trusted_proxies>},
    {{"ssl_config.cert_file", "ssl-certfile", "SSL_CERTFILE", "Certificate chain for HTTPS (PEM)"},
     set_text<&C::ssl_cert_file>,
     show<&C::ssl_cert_file>},
    {{"ssl_config.key_file", "ssl-keyfile", "SSL_KEYFILE", "Private key for HTTPS (PEM)"},
     set_text<&C::ssl_key_file>,
     show<&C::ssl_key_file>},
    {{"ssl_config.hsts_max_age", "", "SSL_HSTS_MAX_AGE",
      "Seconds that browsers are to come to this host by HTTPS alone (Strict-Transport-Security); 0 = not said"},
     set_int<&C::ssl_hsts_max_age, 0, 2 * 31'536'000>,
     show<&C::ssl_hsts_max_age>},
    {{"monitoring.enable_metrics", "enable-metrics", "ENABLE_METRICS", "Whether there is /metrics: true or false"},
     set_bool<&C::enable_metrics>,
     show<&C::enable_metrics>},
    {{"monitoring.metrics_port", "metrics-port", "METRICS_PORT",
      "A port that serves /metrics and the probes alone; 0 = none"},
     set_int<&C::metrics_port, 0, 65535>,
     show<&C::metrics_port>},
    {{"monitoring.health_check_interval", "health-check-interval", "HEALTH_CHECK_INTERVAL",
      "Seconds between self-checks, each a log line with memory and load; 0 = none"},
     set_seconds<&C::health_check_interval, 0, 86400>,
     show<&C::health_check_interval>},
    {{"logging.level", "log-level", "LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR"},
     [](C& c, const std::string& text) { c.log_level = parse_log_level(text); },
     show<&C::log_level>},
    {{"logging.format", "log-format", "LOG_FORMAT", "Of log lines: json, or as Python's logging spells it"},
     [](C& c, const std::string& text) { c.log_format = parse_log_format(text); },
     show<&C::log_format>},
    {{"logging.file", "log-file", "LOG_FILE",
      "Service log; access.log and error.log lie beside it; none: standard error alone"},
     [](C& c, const std::string& text) { c.log_file = parse_log_file(text); },
     show<&C::log_file>},
    {{"logging.max_bytes", "log-max-bytes", "LOG_MAX_BYTES", "Size at which a log file is rotated; 0: never"},
     [](C& c, const std::string& text) { c.log_max_bytes = parse_log_size(text); },
     show<&C::log_max_bytes>},
    {{"logging.backup_count", "log-backup-count", "LOG_BACKUP_COUNT", "Rotated files kept of each log; 0: no rotation"},
     set_int<&C::log_backup_count, 0, 1000>,
     show<&C::log_backup_count>},
    {{"logging.prompts", "log-prompts", "LOG_PROMPTS", "Log what clients ask, prompts included: true or false"},
     set_bool<&C::log_prompts>,
     show<&C::log_prompts>},
});

constexpr auto kKeys = [] {
  std::array<ConfigKey, kRows.size()> keys;
  for (size_t i = 0; i < kRows.size(); ++i) keys[i] = kRows[i].key;
  return keys;
}();

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

std::span<const ConfigRow> config_rows() { return kRows; }

const ConfigRow* find_config_row(std::string_view name) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const ConfigRow& candidate) {
    if (candidate.key.name == name) return true;
    const auto synonyms = words(candidate.key.synonyms);
    return std::find(synonyms.begin(), synonyms.end(), name) != synonyms.end();
  });
  return row == kRows.end() ? nullptr : &*row;
}

std::string default_value(std::string_view name) {
  const ConfigRow* row = find_config_row(name);
  QWEN_CHECK(row != nullptr);
  return row->show(ServiceConfig());
}

}  // namespace qwen
