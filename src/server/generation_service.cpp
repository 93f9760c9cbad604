#include "server/generation_service.h"

#include <algorithm>

#include "metrics/metrics.h"
#include "metrics/rate_window.h"
#include "server/cache/cache_key.h"
#include "server/cache/response_cache.h"
#include "server/request_error.h"

namespace qwen {

namespace {
constexpr size_t kTail = 16;  // tokens that spell "<think>\n" at most, one for each byte, and some more

[[noreturn]] void refuse_output(const TextRequest& request, long long asked, long long most, long long prompt,
                                long long context) {
  throw OutputTooLongError(
      {.param = request.max_tokens_param, .asked = asked, .most = most, .vllm_sentence = request.vllm_sentence}, prompt,
      context);
}
// One answer's way into the engine, as often as it is asked for.
struct EngineCall {
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<const std::vector<TokenId>> prompt;
  SamplingParams sampling;
  std::optional<ThinkingVocabulary> vocabulary;  // where the thought is watched
  std::optional<ThinkingRequest> thinking;
  OutputPlan plan;
  std::optional<std::chrono::steady_clock::time_point> deadline, start_by;
  bool starts_in_thought = false;

  EngineTokens operator()(uint64_t seed, std::function<void()> on_events) const {
    GenerationRequest generation;
    generation.prompt = *prompt;
    generation.sampling = sampling;
    generation.sampling.seed = seed;
    generation.deadline = deadline;
    generation.start_by = start_by;
    generation.on_events = std::move(on_events);
    std::shared_ptr<ThoughtLink> thought;
    if (vocabulary) {
      // The engine, and with it the constraint, goes before the tokenizer: see LoadedModel.
      thought = std::make_shared<ThoughtLink>();
      generation.constraint =
          make_thinking_constraint(*vocabulary, *thinking, plan, deadline, starts_in_thought, thought);
    }
    return {model->engine->submit(std::move(generation)), std::move(thought)};
  }
};

}  // namespace

std::string_view service_state_name(ServiceState state) {
  switch (state) {
    case ServiceState::kLoading:
      return "loading";
    case ServiceState::kReady:
      return "healthy";
    case ServiceState::kDraining:
      return "draining";
    case ServiceState::kUnhealthy:
      break;
  }
  return "unhealthy";
}

// SplitMix64's finalizer: seeds that are neighbours give draws that have nothing in common.
uint64_t sample_seed(uint64_t seed, int i) {
  if (i == 0) return seed;
  uint64_t z = seed + static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void GenerationService::set_progress(uint64_t done, uint64_t total) noexcept {
  progress_ = total == 0 ? 0.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

GenerationService::GenerationService()
    : metrics_(std::make_shared<const Metrics>()), token_rate_(std::make_shared<RateWindow>()) {}
GenerationService::~GenerationService() = default;

void GenerationService::set_ready(LoadedModel model) {
  model.engine->set_on_step([metrics = metrics_, rate = token_rate_](const StepReport& step) {
    metrics->step_duration.observe(step.seconds);
    metrics->step_tokens.observe(step.num_tokens);
    metrics->batch_size.observe(step.num_sequences);
    rate->add(static_cast<uint64_t>(step.num_generated));
  });
  auto shared = std::make_shared<const LoadedModel>(std::move(model));
  const std::lock_guard lock(mutex_);
  model_ = std::move(shared);
  ready_since_ = std::chrono::system_clock::now();
}

void GenerationService::enable_cache(const CacheOptions& options) {
  cache_ = std::make_shared<ResponseCache>(options, metrics_);
}

void GenerationService::announce_drain() { announced_ = true; }

void GenerationService::begin_drain() { announced_ = draining_ = true; }

void GenerationService::shutdown() {
  begin_drain();
  if (const auto loaded = model()) loaded->engine->shutdown();
  if (cache_) cache_->stop();
}

std::shared_ptr<const LoadedModel> GenerationService::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

std::chrono::system_clock::time_point GenerationService::ready_since() const {
  const std::lock_guard lock(mutex_);
  return ready_since_;
}

ServiceState GenerationService::state() const {
  if (announced_) return ServiceState::kDraining;
  const auto loaded = model();
  if (!loaded) return others_;
  return loaded->engine->stats().healthy ? ServiceState::kReady : ServiceState::kUnhealthy;
}

double GenerationService::progress() const { return model() ? 1.0 : progress_.load(); }

EngineStats GenerationService::stats() const {
  const auto loaded = model();
  return loaded ? loaded->engine->stats() : EngineStats{};
}

bool GenerationService::makes_progress(std::chrono::seconds limit) const {
  const auto loaded = model();
  if (!loaded) return true;
  const EngineStats now = loaded->engine->stats();
  return now.healthy && (limit.count() == 0 || std::chrono::steady_clock::now() - now.heartbeat < limit);
}

double GenerationService::tokens_per_second() const { return token_rate_->per_second(); }

double GenerationService::uptime_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

std::shared_ptr<const LoadedModel> GenerationService::ready_model() const {
  if (draining_) throw Error(ErrorCode::kDraining, "the service is shutting down");
  auto loaded = model();
  if (!loaded && others_ == ServiceState::kUnhealthy)
    throw Error(ErrorCode::kTemporary, "no worker process is up; they are being started again");
  if (!loaded) throw Error(ErrorCode::kLoading, "the model is still loading");
  return loaded;
}

GenerationService::Prompt GenerationService::encode(const LoadedModel& model, TextRequest& request) {
  if (!request.prompt_ids.empty()) {
    const std::span<const TokenId> ids = request.prompt_ids;
    const bool in_thought = starts_in_thought(model.tokenizer->decode(ids.last(std::min(ids.size(), kTail)), false));
    return {std::move(request.prompt_ids), in_thought};
  }
  // Twice the context: the count of what is not much too long helps a client to shorten it.
  const auto context = static_cast<size_t>(model.engine->max_model_len());
  const auto checked = [&](std::optional<std::vector<TokenId>> ids) {
    if (!ids)
      throw PromptTooLongError(static_cast<long long>(2 * context + 1), std::max(1, request.max_tokens.value_or(1)),
                               static_cast<long long>(context), true);
    return std::move(*ids);
  };
  if (request.raw_prompt)
    return {checked(model.tokenizer->encode_at_most(*request.raw_prompt, 2 * context)),
            starts_in_thought(*request.raw_prompt)};
  const std::vector<TextSegment> segments =
      model.chat_template->render_segments(request.messages, request.template_options);
  // A caller's text that ends in "<think>" opens no thought: only the template's own does.
  const bool in_thought = !segments.empty() && segments.back().trusted && starts_in_thought(segments.back().text);
  return {checked(model.tokenizer->encode_at_most(segments, 2 * context)), in_thought};
}

std::unique_ptr<TextStream> GenerationService::start(TextRequest request, std::function<void()> on_events) const {
  return std::move(start_samples(std::move(request), 1, on_events).front());
}

TextStreams GenerationService::start_samples(TextRequest request, int count,
                                             const std::function<void()>& on_events) const {
  const std::shared_ptr<const LoadedModel> loaded = ready_model();
  if (request.deadline && std::chrono::steady_clock::now() >= *request.deadline)
    throw Error(ErrorCode::kDeadlineExceeded, "the deadline passed before the prompt was looked at");
  Prompt prompt = encode(*loaded, request);
  if (prompt.ids.empty()) throw Error(ErrorCode::kInvalidValue, "the prompt has no tokens", "prompt");

  const long long context = loaded->engine->max_model_len();
  const long long prompt_tokens = static_cast<long long>(prompt.ids.size()), room = context - prompt_tokens;
  const long long cap = request.max_tokens_cap > 0 ? request.max_tokens_cap : context;
  request.sampling.stop_token_ids = loaded->default_sampling.stop_token_ids;
  const Tokenizer& tokenizer = *loaded->tokenizer;
  std::optional<ThinkingVocabulary> vocabulary;
  // A text of the caller's own is no conversation: only where it ends in an open thought is there one to close in time.
  const bool has_thought = !request.messages.empty() || prompt.starts_in_thought;
  if (request.thinking && (request.thinking->ensure_answer || has_thought))
    vocabulary = thinking_vocabulary(tokenizer, request.sampling.stop_token_ids);
  OutputPlan plan;
  if (request.thinking && request.thinking->answer) {
    const int closing = vocabulary ? static_cast<int>(vocabulary->closing.size()) : 0;
    const std::optional<OutputPlan> fitting = plan_output(*request.thinking, closing, room, cap);
    if (!fitting) {
      const auto& answer = *request.thinking->answer;
      if (answer.asked_for && room > closing)
        refuse_output(request, answer.tokens, room - closing, prompt_tokens, context);
      throw PromptTooLongError(prompt_tokens, 1 + closing, context);
    }
    plan = *fitting;
  } else {
    const long long asked = std::min<long long>(request.max_tokens.value_or(1), cap);
    if (room < asked) {
      if (room > 0) refuse_output(request, *request.max_tokens, room, prompt_tokens, context);
      throw PromptTooLongError(prompt_tokens, asked, context);
    }
    const long long by_default = request.default_max_tokens > 0 ? request.default_max_tokens : room;
    plan = plan_shared_output(static_cast<int>(request.max_tokens ? asked : std::min({by_default, room, cap})));
  }
  request.sampling.max_tokens = plan.max_tokens;

  TextStream::Setup setup{
      .tokenizer = std::shared_ptr<const Tokenizer>(loaded, &tokenizer),
      .reasoning_tokens = {tokenizer.token_id("<think>"), tokenizer.token_id("</think>")},
      .starts_in_thought = prompt.starts_in_thought,
      .may_think = prompt.starts_in_thought || (!request.messages.empty() && request.template_options.thinking),
      .separate_thought = request.separate_thought,
      .stop = std::move(request.stop),
      .started = request.started,
      .metrics = metrics_,
      .thinking_budget = request.thinking ? request.thinking->budget : -1,
      .max_answer_tokens = plan.max_answer_tokens,
  };
  EngineCall call{.model = loaded,
                  .prompt = std::make_shared<const std::vector<TokenId>>(std::move(prompt.ids)),
                  .sampling = request.sampling,
                  .vocabulary = std::move(vocabulary),
                  .thinking = request.thinking,
                  .plan = plan,
                  .deadline = request.deadline,
                  .start_by = {},
                  .starts_in_thought = prompt.starts_in_thought};
  const bool caches = cacheable(request);
  const auto look_up_time = request.cache.look_up_time ? request.cache.look_up_time : std::make_shared<LookUpTime>();
  TextStreams streams;
  for (int i = 0; i < count; ++i) {
    call.sampling.seed = sample_seed(request.sampling.seed, i);
    // Of several, the first one tells how busy the engine is; the rest wait for it.
    call.start_by = {};
    if (i == 0 && request.max_wait.count() > 0) call.start_by = std::chrono::steady_clock::now() + request.max_wait;
    if (!caches) {
      if (request.cache.enabled) setup.cache = CacheResult::kBypass;
      streams.push_back(
          std::make_unique<TextStream>(setup, std::make_unique<EngineSource>(call(call.sampling.seed, on_events))));
      continue;
    }
    const std::string key = cache_key({.fingerprint = loaded->info.fingerprint,
                                       .salt = request.cache.salt,
                                       .prompt = *call.prompt,
                                       .sampling = call.sampling,
                                       .seed_chosen = request.cache.seed_given,
                                       .sample = i,
                                       .stop = setup.stop,
                                       .starts_in_thought = setup.starts_in_thought,
                                       .separate_thought = setup.separate_thought,
                                       .thinking = call.vocabulary ? &*call.thinking : nullptr,
                                       .plan = plan});
    CacheAnswer answer = cache_->start({.key = key,
                                        .look_up = request.cache.look_up,
                                        .store = request.cache.store,
                                        .seed = call.sampling.seed,
                                        .seed_chosen = request.cache.seed_given || request.sampling.temperature == 0,
                                        .deadline = request.deadline,
                                        .prompt_tokens = static_cast<int>(prompt_tokens),
                                        .vocab_size = static_cast<int>(loaded->info.vocab_size),
                                        .compute = call,
                                        .on_events = on_events,
                                        .look_up_time = look_up_time});
    setup.cache = answer.result;
    setup.metrics = answer.result == CacheResult::kMiss ? metrics_ : nullptr;  // of generations, which a hit is not
    streams.push_back(std::make_unique<TextStream>(setup, std::move(answer.tokens)));
  }
  return streams;
}

// An answer that another request may be given: the same every time, as nothing but the request shapes it.
bool GenerationService::cacheable(const TextRequest& request) const {
  if (!cache_ || !request.cache.enabled) return false;
  const bool repeats = request.sampling.temperature == 0 || request.cache.seed_given || request.cache.random_too;
  const bool timed = request.thinking && request.thinking->time;  // closed at another token on a busier machine
  if (repeats && !timed && request.cache.store) return true;
  cache_->count_bypass();
  return false;
}

}  // namespace qwen
