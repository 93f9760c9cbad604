// Every setting of the service with its default. Plain data: config.h fills it from flags, environment and files.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "server/access/api_key.h"
#include "server/http/limits.h"
#include "server/http/tls_files.h"

namespace qwen {

// Where a setting came from.
struct SettingOrigin {
  std::string name;        // "--port", "PORT", "configs/service_config.yaml:3: server.port"
  ErrorCode wrong_value;   // the code of the error when its value turns out to be wrong
  bool from_file = false;  // written for many models and machines, not for this start
};

struct ServiceConfig {
  std::map<std::string, SettingOrigin, std::less<>> origins;  // of what was set, by ConfigKey::name

  // The model.
  std::string model_path = "/app/models/qwen3-4b-thinking";
  std::string model_name;                    // what clients call it; empty = the folder's name
  std::string quantization_format = "int8";  // of plain weights: none (as in the folder), int8, int4, int4-g64; gptq
  bool enable_quantization = true;           // false: quantization_format is none
  std::string head_format = "auto";          // embedding and head: none, int8, auto (int8 with int8 and int4)
  std::string cache_dir;                     // of quantized weights; empty = chosen, "none" = in memory only
  std::string weights = "copy";              // of a packed file: copy into huge pages, or mmap and share
  std::string chat_template;                 // thinking-2507, hybrid, instruct; empty = recognised from the folder
  bool demo = false;  // where model_path holds no model, serve the small model that comes with the project
  std::string device = "cpu";
  std::string kernels = "auto";
  int threads = 0;  // compute threads; 0 = physical cores this process may use

  // The HTTP service.
  std::string host = "0.0.0.0";
  int port = 8000;
  int workers = 1;                   // processes; each has its own engine
  bool listen_while_loading = true;  // false: who connects is refused until there is somebody who can answer
  int io_threads = 0;                // 0 = 2, or 1 on a single core
  int text_threads = 0;              // parse and tokenize; 0 = 2
  HttpLimits http;
  int max_batch_prompts = 64;                 // of one /batch_generate or /v1/completions request
  std::chrono::seconds request_timeout{300};  // a request's default deadline
  std::chrono::seconds drain_grace{5};        // not ready, but answering as before, so long after SIGTERM
  std::chrono::seconds drain_timeout{60};     // running requests may finish this long after that
  std::chrono::seconds stop_grace_period{0};  // what the supervisor grants between SIGTERM and SIGKILL; 0 = unknown

  // Who may use it.
  ApiKeys api_keys;                                    // empty = open to everybody
  int requests_per_minute = 0, tokens_per_minute = 0;  // of each API key that does not say; 0 = no limit
  std::string open_routes = "page";                    // of page and metrics, those that need no key; or none
  std::vector<std::string> cors_origins;     // pages of these may call it; "*" = all; empty = of its own alone
  std::vector<std::string> trusted_proxies;  // addresses and networks; they say who the client is
  std::string ssl_cert_file, ssl_key_file;   // PEM; empty = plain HTTP
  std::optional<TlsPair> ssl_pair;           // of a worker process, in place of the files: what its supervisor uses
  int ssl_hsts_max_age = 0;  // seconds that a browser is to come by HTTPS alone; 0 = nothing is said of it

  // The engine.
  int max_model_len = 0;  // most tokens of a sequence; 0 = the model's, cut to what memory holds
  int max_num_seqs = 16;
  bool enable_dynamic_batching = true;  // false: max_num_seqs is 1
  int batch_timeout_ms = 0;
  int max_num_batched_tokens = 512;
  int max_waiting = 1024;
  std::chrono::seconds max_wait{60};          // for a request's turn; 0 = until its deadline
  size_t kv_cache_bytes = 0;                  // 0 = derived from free memory
  std::chrono::seconds engine_watchdog{120};  // without a sign of life, after which it is taken to hang; 0 = never
  std::string kv_cache_dtype = "auto";        // of keys and values: one of base/kv_cache_dtype.h

  // Sampling of the native routes; /v1 takes the checkpoint's generation_config. top_k and min_p come from there on
  // every route.
  int default_max_length = 512;
  float default_temperature = 0.7f;
  float default_top_p = 0.9f;
  int max_length = 0;             // most new tokens of a request on the native routes; 0 = what fits
  int max_completion_tokens = 0;  // the same on /v1
  int tokens_per_depth = 256;     // thinking budget of /thinking for each step of thinking_depth

  // The guide's words for memory and GPU. A processor has no use for them: see config/config_review.
  bool enable_memory_optimization = true, gradient_checkpointing = false, cpu_offload = false;
  std::string cuda_visible_devices;  // empty = all
  float cuda_memory_fraction = 1;
  bool mixed_precision = true, cuda_launch_blocking = false;

  // The response cache.
  std::optional<bool> cache_enable;  // absent: where there is a redis_url
  std::chrono::seconds cache_ttl{3600};
  size_t cache_max_bytes = size_t{1} << 30;  // in this process
  int cache_max_entries = 100'000;           // likewise
  bool cache_random = false;                 // also answers whose seed nobody chose
  bool cache_shared = false;                 // by all API keys; false: each key has its own
  std::string redis_url, redis_password;     // see cache/redis_address.h; empty: no Redis, and no other password
  int redis_timeout_ms = 20;                 // for one look-up

  // Watching it.
  bool enable_metrics = true;  // GET /metrics
  int metrics_port = 0;        // a second port with /metrics and the probes alone; 0 = none

  std::chrono::seconds health_check_interval{30};  // 0 = no self-checks

  LogLevel log_level = LogLevel::kInfo;
  std::string log_format = "%(asctime)s - %(name)s - %(levelname)s - %(message)s";  // or json
  std::string log_file;                     // empty = chosen, "none" = standard error alone
  size_t log_max_bytes = size_t{50} << 20;  // of each file before it is rotated; 0 = never
  int log_backup_count = 5;                 // rotated files that are kept of each; 0 = never rotated
  bool log_prompts = false;                 // what clients ask is logged
};

}  // namespace qwen
