// Every metric of the service, in one list. Names beginning with http_, memory_ and cpu_ are the deployment guide's
// (its alert rules use them), process_ is Prometheus' own, all else is qwen_ in vLLM's words. Units are in the names.
// "Read" metrics are set when somebody scrapes (server/service_monitor), the others where the thing happens.
// Not here: a label for the model, of which there is one (qwen_model_info); GPU figures, until there is a GPU.
#pragma once

#include "metrics/registry.h"

namespace qwen {

// Upper bounds of buckets: vLLM's and OpenTelemetry's, so that dashboards made for them fit.
namespace buckets {
inline const Buckets kHttpSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                     5,     10,   20,    40,   80,  160,  320, 640};
inline const Buckets kFirstTokenSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                           1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
inline const Buckets kPerTokenSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
                                         0.4,   0.5,    0.75,  1,    2.5,   5,    7.5,   10,  20,   40,  80};
inline const Buckets kRequestSeconds = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                        30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
inline const Buckets kTokens = {1,    2,    5,    10,    20,    50,    100,    200,   500,
                                1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000};
inline const Buckets kStepTokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
inline const Buckets kLookupSeconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5};
inline const Buckets kSequences = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
}  // namespace buckets

struct Metrics {
  MetricRegistry registry;

  // --- HTTP requests; probes (/health, /livez, /readyz, /metrics) are in none of these.
  // `route` is the route table's pattern, or "unmatched"; `method` is "other" where it is no usual one; status 499: the
  // client went away.
  Family<Counter> http_requests{
      registry, "http_requests_total", "Requests by how they ended.", {"status", "method", "route"}};
  Family<Histogram> http_request_duration{registry,
                                          "http_request_duration_seconds",
                                          "First byte of a request to the last of its answer.",
                                          {"route"},
                                          buckets::kHttpSeconds};
  Family<Counter> requests{
      registry, "qwen_requests_total", "Requests of the API, without page and statistics.", {"route", "code"}};
  Family<Counter> rejected{registry,
                           "qwen_rejected_total",
                           "Requests and connections refused without being looked into.",
                           {"reason"}};  // kRejections
  Counter client_disconnects{registry, "qwen_client_disconnects_total", "Requests whose client went away."};
  Counter slow_client_aborts{registry, "qwen_slow_client_aborts_total", "Answers cut off because nobody read them."};
  Gauge connections_open{registry, "qwen_connections_open", "Open connections of the main port."};  // read
  Gauge streams_open{registry, "qwen_streams_open", "Event streams under way."};                    // read
  // No member without TLS; both read.
  Family<Gauge> certificate_expiry{registry,
                                   "qwen_tls_certificate_expiry_timestamp_seconds",
                                   "When the certificate in use expires, since 1970.",
                                   {}};
  Family<Counter> failed_handshakes{
      registry, "qwen_tls_failed_handshakes_total", "Connections that ended before TLS was agreed on.", {}};

  // --- Generations: one for each prompt and answer, of which a request may have several.
  Family<Counter> finished{registry,
                           "qwen_request_finished_total",
                           "Generations by how they ended.",
                           {"reason"}};  // stop, length, abort, timeout, error
  Histogram time_to_first_token{registry, "qwen_time_to_first_token_seconds", "Arrival of the request to first token.",
                                buckets::kFirstTokenSeconds};
  Histogram time_to_first_answer_token{registry, "qwen_time_to_first_answer_token_seconds",
                                       "Arrival of the request to the first text after the thought.",
                                       buckets::kFirstTokenSeconds};
  Histogram inter_token_latency{registry, "qwen_inter_token_latency_seconds",
                                "From one piece of text to the next of the same generation.",
                                buckets::kPerTokenSeconds};
  Histogram time_per_output_token{registry, "qwen_time_per_output_token_seconds",
                                  "Mean over a generation's tokens after the first.", buckets::kPerTokenSeconds};
  Histogram request_duration{registry, "qwen_request_duration_seconds",
                             "Arrival of the request to the end of its generation; without aborted ones.",
                             buckets::kRequestSeconds};
  Histogram prompt_tokens{registry, "qwen_prompt_tokens", "Tokens of a prompt; without aborted generations.",
                          buckets::kTokens};
  Histogram generation_tokens{registry, "qwen_generation_tokens",
                              "Tokens of a generation, thought included; without aborted ones.", buckets::kTokens};
  Family<Counter> thoughts{registry,
                           "qwen_thoughts_total",
                           "Thoughts by what ended them.",
                           {"ended_by"}};  // natural, budget, deadline, loop, client, length
  Counter thinking_tokens{registry, "qwen_thinking_tokens_total", "Tokens spent on thoughts."};

  // --- The response cache; the gauges and evictions are read.
  Family<Counter> response_cache_requests{registry,
                                          "qwen_response_cache_requests_total",
                                          "Answers by what the response cache had for them.",
                                          {"result"}};  // hit, joined, miss, error, bypass
  Histogram response_cache_duration{registry, "qwen_response_cache_duration_seconds", "Looking for one answer.",
                                    buckets::kLookupSeconds};
  Gauge response_cache_entries{registry, "qwen_response_cache_entries", "Answers kept in this process."};
  Gauge response_cache_bytes{registry, "qwen_response_cache_bytes", "Memory of these answers."};
  Counter response_cache_evictions{registry, "qwen_response_cache_evictions_total",
                                   "Answers that gave way to newer ones for want of room."};
  Gauge response_cache_breaker_open{registry, "qwen_response_cache_breaker_open",
                                    "1 while Redis is left alone because it failed."};

  // --- The engine; all read, but for the step histograms.
  Gauge requests_running{registry, "qwen_requests_running", "Sequences in the batch."};
  Gauge requests_waiting{registry, "qwen_requests_waiting", "Sequences accepted and not in the batch."};
  Gauge kv_cache_usage{registry, "qwen_kv_cache_usage_ratio", "Used blocks of all KV blocks, 0 to 1."};
  Family<Gauge> kv_blocks{registry, "qwen_kv_blocks", "Blocks of the KV cache.", {"state"}};  // used, free
  Counter preemptions{registry, "qwen_preemptions_total", "Sequences that gave up their KV blocks to others."};
  Counter prompt_tokens_computed{registry, "qwen_prompt_tokens_total", "Prompt tokens computed."};
  Counter generated_tokens{registry, "qwen_generated_tokens_total", "Tokens generated."};
  Histogram step_duration{registry, "qwen_engine_step_duration_seconds",
                          "One step of the engine: plan, model, sampling.", buckets::kPerTokenSeconds};
  Histogram step_tokens{registry, "qwen_step_tokens", "Tokens computed in a step, prompts included.",
                        buckets::kStepTokens};
  Histogram batch_size{registry, "qwen_batch_size", "Sequences in a step.", buckets::kSequences};
  Family<Counter> engine_errors{registry,
                                "qwen_engine_errors_total",
                                "Failures of the engine.",
                                {"kind"}};  // step: failed with all its requests; fatal: it stopped for good
  // No member until the engine exists.
  Family<Gauge> engine_heartbeat{
      registry, "qwen_engine_heartbeat_timestamp_seconds", "When the engine last showed that it is alive.", {}};

  // --- The logs of `serve`; read. `log`: service, access, error (the files, where there are any), stderr.
  Family<Counter> log_messages{
      registry, "qwen_log_messages_total", "Log lines by level, without requests'.", {"level"}};
  Family<Counter> log_dropped{
      registry, "qwen_log_dropped_total", "Log lines that could not be written in time, or not at all.", {"log"}};
  Family<Counter> log_failures{
      registry, "qwen_log_failures_total", "Failures to open, write or rotate a log.", {"log"}};
  Family<Gauge> log_writable{registry, "qwen_log_writable", "1 where the log can be written.", {"log"}};
  // No member where there are no files.
  Family<Gauge> log_disk_free{registry, "qwen_log_disk_free_bytes", "Room on the disk of the log files.", {}};
  Family<Gauge> log_disk_size{registry, "qwen_log_disk_size_bytes", "Size of the disk of the log files.", {}};

  // --- The service; read.
  Family<Gauge> state{registry,
                      "qwen_state",
                      "1 for the state that the service is in.",
                      {"state"}};  // loading, healthy, draining, unhealthy
  // No members but in the supervisor of several worker processes.
  Family<Gauge> workers{registry, "qwen_workers", "Worker processes by state.", {"state"}};
  Family<Counter> worker_restarts{
      registry, "qwen_worker_restarts_total", "Worker processes that ended and were started again.", {}};
  Family<Gauge> build_info{registry, "qwen_build_info", "Always 1.", {"version", "compiler"}};
  Family<Gauge> model_info{registry,
                           "qwen_model_info",
                           "Always 1; absent until the model is loaded.",
                           {"name", "dtype", "quantization", "context", "device", "kernels"}};
  Gauge memory_usage_percent{registry, "memory_usage_percent",
                             "Memory in use on the machine, or in the container where it has a limit, 0 to 100."};
  Gauge cpu_usage_percent{registry, "cpu_usage_percent",
                          "Time this process ran, of the cores it may use, since the scrape before, 0 to 100."};
  Gauge process_start_time{registry, "process_start_time_seconds", "Start of the process since 1970."};
  Counter process_cpu{registry, "process_cpu_seconds_total", "Processor time, user and system."};
  Gauge process_resident_memory{registry, "process_resident_memory_bytes", "Resident memory."};
  Gauge process_virtual_memory{registry, "process_virtual_memory_bytes", "Virtual memory."};
  Gauge process_open_fds{registry, "process_open_fds", "Open file descriptors."};
  Gauge process_max_fds{registry, "process_max_fds", "Largest number of open file descriptors."};
};

}  // namespace qwen
