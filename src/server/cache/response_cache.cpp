#include "server/cache/response_cache.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/memory_usage.h"
#include "metrics/metrics.h"
#include "server/cache/flight_source.h"
#include "server/cache/redis_store.h"

namespace qwen {
namespace {

// In front of a Redis the process keeps a part of its own: equal requests in a row do not ask it.
constexpr size_t kNearBytes = size_t{64} << 20;
// From here on the memory is for what has to be computed.
constexpr double kFullPercent = 90;

MemoryStore::Limits memory_limits(const CacheOptions& options) {
  MemoryStore::Limits limits = options.memory;
  if (options.redis) limits.bytes = std::min(limits.bytes, kNearBytes);
  return limits;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

ResponseCache::ResponseCache(const CacheOptions& options, std::shared_ptr<const Metrics> metrics)
    : metrics_(std::move(metrics)), memory_(memory_limits(options)) {
  const MemoryStore::Limits limits = memory_limits(options);
  log_info("response cache: on, up to ", limits.entries, " answers in ", std::max<size_t>(limits.bytes >> 20, 1),
           " MiB of this process, for ", options.memory.ttl.count(), " s",
           options.redis ? ", and in Redis at " + redis_place(*options.redis) : std::string());
  if (options.redis) redis_ = std::make_unique<RedisStore>(*options.redis, options.memory.ttl);
}

ResponseCache::~ResponseCache() = default;

void ResponseCache::stop() {
  if (redis_) redis_->stop();
}

void ResponseCache::count_bypass() const { metrics_->response_cache_requests.with({"bypass"}).add(); }

CacheAnswer ResponseCache::start(CacheAsk ask) {
  const auto begin = std::chrono::steady_clock::now();
  const auto reader = std::make_shared<const std::function<void()>>(ask.on_events);
  const auto counted = [&](const char* result) {
    metrics_->response_cache_requests.with({result}).add();
    metrics_->response_cache_duration.observe(seconds_since(begin));
  };
  const auto replay = [&](CachedAnswerPtr answer) {
    counted("hit");
    return CacheAnswer{std::make_unique<ReplaySource>(std::move(answer), std::move(ask.on_events)), CacheResult::kHit};
  };
  const auto read = [&](std::shared_ptr<Flight> flight, bool leads) {
    auto source = std::make_unique<FlightSource>(shared_from_this(), std::move(ask), reader, std::move(flight), leads);
    return CacheAnswer{std::move(source), leads ? CacheResult::kMiss : CacheResult::kJoined};
  };

  const char* missed = "miss";
  if (ask.look_up) {
    if (auto answer = memory_.get(ask.key)) return replay(std::move(answer));
    if (auto flight = flights_.join(ask.key, {.reader = reader, .deadline = ask.deadline, .seed = {}})) {
      counted("joined");
      return read(std::move(flight), false);
    }
    bool failed = false;
    if (auto answer = look_up_redis(ask, failed)) return replay(std::move(answer));
    if (failed) missed = "error";
  }
  FlightTable::Entered entered;
  if (ask.look_up) {
    entered = enter(ask, reader, std::nullopt);
  } else {  // asked to be computed anew: for this request alone
    entered.flight = std::make_shared<Flight>(ask.seed, ask.deadline, ask.prompt_tokens);
    entered.flight->join(reader);
    entered.leads = true;
    entered.flight->launch(ask.compute);
  }
  if (entered.answer) return replay(std::move(entered.answer));
  counted(entered.leads ? missed : "joined");
  return read(std::move(entered.flight), entered.leads);
}

FlightTable::Entered ResponseCache::enter(const CacheAsk& ask, const Flight::OnEvents& reader,
                                          std::optional<uint64_t> seed) {
  FlightTable::Entered entered = flights_.enter(
      ask.key, {.reader = reader, .deadline = ask.deadline, .seed = seed}, [&] { return memory_.get(ask.key); },
      [&] { return std::make_shared<Flight>(seed.value_or(ask.seed), ask.deadline, ask.prompt_tokens); });
  if (!entered.leads) return entered;
  try {
    entered.flight->launch(ask.compute);
  } catch (...) {
    if (entered.flight->leave(reader)) flights_.remove(ask.key, entered.flight);
    throw;
  }
  return entered;
}

CachedAnswerPtr ResponseCache::look_up_redis(const CacheAsk& ask, bool& failed) {
  if (!redis_) return nullptr;
  LookUpTime own;
  const RedisStore::Reply reply = redis_->get(ask.key, ask.look_up_time ? *ask.look_up_time : own);
  failed = reply.failed;
  if (!reply.value) return nullptr;
  auto answer = decode_answer(*reply.value, ask.key, ask.vocab_size, ask.prompt_tokens);
  if (answer) {
    memory_.put(ask.key, answer);  // with a time of its own: an answer does not become wrong
  } else {
    failed = true;
    redis_->erase(ask.key);  // or every request would look at it again
  }
  return answer;
}

void ResponseCache::store(const std::string& key, CachedAnswerPtr answer) {
  if (redis_) redis_->put(key, answer);
  if (read_memory_usage().used_percent() < kFullPercent) memory_.put(key, std::move(answer));
}

ResponseCache::Stats ResponseCache::stats() const {
  return {.memory = memory_.stats(), .breaker_open = redis_ && redis_->breaker_open()};
}

}  // namespace qwen
