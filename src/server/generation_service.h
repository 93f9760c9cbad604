// Text in, text out: what the HTTP handlers and the terminal commands share. Renders and encodes a conversation so that
// nothing a caller wrote becomes a control token, checks its length, submits it to the engine. Knows nothing of HTTP.
// It exists before the model does: while that loads, requests are refused with kLoading and progress() says how far it
// is.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/cache/cache_use.h"
#include "server/text_stream.h"
#include "server/thinking_plan.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace qwen {

enum class ServiceState { kLoading, kReady, kDraining, kUnhealthy };
std::string_view service_state_name(ServiceState state);  // "loading", "healthy", "draining", "unhealthy"

// What /model_info and /v1/models tell.
struct ModelInfo {
  std::string name;  // what clients call it
  std::string architecture, dtype, kv_cache_dtype, device, kernels, fingerprint;
  std::string quantization = "none", head_format = "none";  // of the layers; of embedding and head
  int64_t parameters = 0, vocab_size = 0;
  int64_t context_length = 0;  // the model's; LoadedModel::engine may hold less
  bool demo = false;
};

struct LoadedModel {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;
  std::unique_ptr<Engine> engine;
  ModelInfo info;
  // The checkpoint's generation_config: temperature, top_k, top_p, min_p, repetition_penalty; stop_token_ids are its
  // EOS ids.
  SamplingParams default_sampling;
};

struct TextRequest {
  std::vector<Message> messages;          // a conversation,
  TemplateOptions template_options;       //
  std::optional<std::string> raw_prompt;  // or a prompt as it stands, control tokens included,
  std::vector<TokenId> prompt_ids;        // or its tokens, where not empty
  bool separate_thought = true;           // false: thought, tags and answer are one text

  SamplingParams sampling;        // complete but for max_tokens and stop_token_ids, which the service fills in
  std::optional<int> max_tokens;  // asked for: refused where it does not fit,
  std::string max_tokens_param = "max_length";  // under this name,
  bool vllm_sentence = false;                   // in the words that libraries for OpenAI's API read
  int default_max_tokens = 0;                   // where not asked for: cut to what fits; 0 = as many as fit
  int max_tokens_cap = 0;                       // most that any request gets; 0 = no cap
  std::vector<std::string> stop;
  CacheUse cache;
  std::optional<ThinkingRequest> thinking;  // limits of the thought; its answer limit goes before max_tokens
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // In the engine's queue, until its first step; then the request fails. 0 = no limit.
  std::chrono::seconds max_wait{0};
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

// The seed of the i-th of several answers to one prompt: the first is what the prompt gets alone.
uint64_t sample_seed(uint64_t seed, int i);

class RateWindow;
class ResponseCache;
struct CacheOptions;
struct Metrics;

class GenerationService {
 public:
  GenerationService();
  ~GenerationService();
  GenerationService(const GenerationService&) = delete;
  GenerationService& operator=(const GenerationService&) = delete;

  // --- The life of the model; thread-safe.
  void set_progress(uint64_t done, uint64_t total) noexcept;
  void set_ready(LoadedModel model);
  void enable_cache(const CacheOptions& options);  // before the first request
  void announce_drain();                           // state() says so from here on; requests are taken as before
  void begin_drain();                              // refuses new requests; running ones go on
  void shutdown();                                 // ends running requests with kCancelled
  // Of who has no model itself and speaks for others that have: kUnhealthy refuses with kTemporary.
  void speak_for(ServiceState others) { others_ = others; }

  ServiceState state() const;
  double progress() const;                           // of loading, 0…1
  std::shared_ptr<const LoadedModel> model() const;  // null until ready
  EngineStats stats() const;                         // zeros until ready
  const Metrics& metrics() const { return *metrics_; }
  const ResponseCache* cache() const { return cache_.get(); }  // null where there is none
  // The engine has shown that it is alive within `limit` (0 = for ever), or does not exist yet.
  bool makes_progress(std::chrono::seconds limit) const;
  double tokens_per_second() const;  // generated, over the last minute
  double uptime_seconds() const;
  std::chrono::system_clock::time_point ready_since() const;  // when the model was loaded

  // Submits. `on_events` is called on the engine thread whenever poll() has something new; see GenerationRequest.
  // Blocks for the time that tokenizing takes. Errors: kLoading, kDraining, kOverloaded, kTemporary; kInvalidValue;
  // PromptTooLongError, OutputTooLongError; kDeadlineExceeded where the deadline is past already.
  std::unique_ptr<TextStream> start(TextRequest request, std::function<void()> on_events = {}) const;

  // The same with `count` streams for one prompt, which is encoded once. Stream i draws with sample_seed(seed, i).
  // Where one is refused, all are.
  TextStreams start_samples(TextRequest request, int count, const std::function<void()>& on_events = {}) const;

  // The model, or the error that says why there is none to use.
  std::shared_ptr<const LoadedModel> ready_model() const;

 private:
  struct Prompt {
    std::vector<TokenId> ids;
    bool starts_in_thought = false;
  };
  static Prompt encode(const LoadedModel& model, TextRequest& request);
  bool cacheable(const TextRequest& request) const;

  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const std::shared_ptr<const Metrics> metrics_;  // shared with what may outlive the service: streams, the engine
  const std::shared_ptr<RateWindow> token_rate_;
  std::shared_ptr<ResponseCache> cache_;  // null: none
  std::atomic<bool> announced_{false}, draining_{false};
  std::atomic<ServiceState> others_{ServiceState::kLoading};
  std::atomic<double> progress_{0};
  mutable std::mutex mutex_;  // guards the two below
  std::shared_ptr<const LoadedModel> model_;
  std::chrono::system_clock::time_point ready_since_;
};

}  // namespace qwen
