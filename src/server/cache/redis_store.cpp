#include "server/cache/redis_store.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/log.h"
#include "base/quote.h"
#include "server/cache/circuit_breaker.h"
#include "server/cache/redis_connection.h"

namespace qwen {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kMaxQueued = 256;
constexpr int kPings = 3;
constexpr milliseconds kConnectTimeout{1000}, kCommandTimeout{250}, kStopTimeout{500};
// A name that nobody knows is looked up again after this time.
constexpr milliseconds kAbsentPause{10'000};
constexpr std::chrono::minutes kWarningPause{1};
// An answer is quick that takes no more than this part of the budget. A budget that fewer answers use up was used up by
// a slow Redis; one that more use up, by many look-ups.
constexpr int kQuickAnswers = 4;

// In Redis, where others may have keys of theirs.
std::string name_of(const std::string& key) { return "qwen-thinking:answer:" + key; }

// A look-up and who waits for it.
struct Pending {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool done = false, abandoned = false;
  RedisStore::Reply reply;
  const Clock::time_point asked = Clock::now();
};

struct Job {
  enum class Kind { kGet, kPut, kErase };
  Kind kind = Kind::kGet;
  std::string key;
  CachedAnswerPtr answer;            // of kPut
  std::shared_ptr<Pending> pending;  // of kGet
};

}  // namespace

struct RedisStore::State {
  State(const RedisOptions& redis, std::chrono::seconds time_to_live)
      : options(redis), place(redis_place(redis)), ttl(std::to_string(milliseconds(time_to_live).count())) {}

  const RedisOptions options;
  const std::string place, ttl;
  CircuitBreaker breaker;
  std::atomic<bool> met{false};     // it was connected once; until then requests do not wait for it
  std::atomic<bool> absent{false};  // nobody knows the host: there is no Redis, rather than one that is down

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::deque<Job> jobs;
  bool stopped = false, ended = false;
  std::string reason;  // that was said last for leaving Redis alone

  // The thread's own, but for RedisConnection::stop.
  RedisConnection connection;
  Clock::time_point next_warning{};

  bool usable() const { return met && !breaker.open() && !absent; }

  bool submit(Job job) {
    {
      const std::lock_guard lock(mutex);
      if (stopped || jobs.size() >= kMaxQueued) return false;
      jobs.push_back(std::move(job));
    }
    changed.notify_all();
    return true;
  }

  // `opened`: just now. While it is open only another reason is worth a line.
  void say_open(const std::string& why, bool opened) {
    bool news = false;
    {
      const std::lock_guard lock(mutex);
      news = why != reason;
      reason = why;
    }
    if (opened)
      log_warning("response cache: Redis at ", place, " is left alone (", why, "); answers are cached in this process");
    else if (news)
      log_warning("response cache: Redis at ", place, " is still left alone, now for another reason (", why, ")");
  }
  void fail(const std::string& why) {
    if (!breaker.failure()) return;
    say_open(why, true);
    { const std::lock_guard lock(mutex); }  // the thread either has seen it or waits already
    changed.notify_all();
  }

  // --- The thread.

  void run();
  bool is_stopped() {
    const std::lock_guard lock(mutex);
    return stopped;
  }
  void drop_jobs();
  bool pause(milliseconds time);  // false: stopped
  std::optional<Job> next_job();  // nullopt: stopped, or the breaker opened
  void check_alive();
  bool connect();
  void execute(Job& job);
  void get(Job& job);
  void put(const Job& job);
};

void RedisStore::State::run() {
  while (!is_stopped()) {
    if (breaker.open() || absent) {
      drop_jobs();
      if (!pause(absent ? kAbsentPause : breaker.next_pause())) break;
    }
    if (!connect()) continue;
    if (auto job = next_job()) execute(*job);
  }
  connection.disconnect();
  drop_jobs();
}

// One of a few PINGs has to be answered as fast as a look-up: a thread that the machine had no time for is no slow
// Redis.
void RedisStore::State::check_alive() {
  for (int i = 0; i < kPings; ++i) {
    const auto begin = Clock::now();
    const RedisReply pong = connection.command({"PING"}, begin + kCommandTimeout);
    if (pong.kind != RedisReply::Kind::kStatus) throw RedisFailure("PING: " + quote(pong.text));
    if (Clock::now() - begin <= options.budget) return;
  }
  throw RedisFailure(str("it answers PING no faster than in ", options.budget.count(), " ms"));
}

// Connected and worth asking.
bool RedisStore::State::connect() {
  if (connection.connected() && !breaker.open()) return true;
  try {
    if (!connection.connected()) connection.connect(options, Clock::now() + kConnectTimeout);
    check_alive();
  } catch (const RedisAbsent&) {
    if (is_stopped()) return false;  // and perhaps left alone: nothing is said at the process's end
    if (!met) {
      if (!absent.exchange(true))
        log_warning("response cache: there is no host ", quote(options.host),
                    "; answers are cached in this process alone, and Redis is looked for every ",
                    kAbsentPause.count() / 1000, " s");
      return false;
    }
    say_open("its host is not known any more", breaker.trip());
    return false;
  } catch (const std::exception& error) {
    connection.disconnect();
    if (is_stopped()) return false;
    absent = false;
    say_open(error.what(), breaker.trip());
    return false;
  }
  const bool was_open = breaker.close();
  if (!met || was_open || absent) log_info("response cache: answers are shared through Redis at ", place);
  met = true;
  absent = false;
  return true;
}

bool RedisStore::State::pause(milliseconds time) {
  std::unique_lock lock(mutex);
  return !changed.wait_for(lock, time, [this] { return stopped; });
}

std::optional<Job> RedisStore::State::next_job() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return stopped || breaker.open() || !jobs.empty(); });
  if (stopped || breaker.open()) return std::nullopt;
  Job job = std::move(jobs.front());
  jobs.pop_front();
  return job;
}

void RedisStore::State::drop_jobs() {
  std::deque<Job> dropped;
  {
    const std::lock_guard lock(mutex);
    dropped.swap(jobs);
  }
  for (const Job& job : dropped) {
    if (!job.pending) continue;
    const std::lock_guard lock(job.pending->mutex);
    job.pending->reply.failed = job.pending->done = true;
    job.pending->changed.notify_one();
  }
}

void RedisStore::State::execute(Job& job) {
  try {
    switch (job.kind) {
      case Job::Kind::kGet:
        return get(job);
      case Job::Kind::kPut:
        return put(job);
      case Job::Kind::kErase:
        connection.command({"DEL", name_of(job.key)}, Clock::now() + kCommandTimeout);
        return;
    }
  } catch (const std::exception& error) {  // RedisFailure; no memory
    fail(error.what());
  }
}

void RedisStore::State::get(Job& job) {
  Pending& pending = *job.pending;
  {
    const std::lock_guard lock(pending.mutex);
    if (pending.abandoned) return;  // who waited has counted it
  }
  Reply reply{.value = {}, .failed = true};
  std::string why;
  bool wrong_type = false;
  try {
    RedisReply answer = connection.command({"GET", name_of(job.key)}, Clock::now() + kCommandTimeout);
    switch (answer.kind) {
      case RedisReply::Kind::kText:
        reply = {.value = std::move(answer.text)};
        break;
      case RedisReply::Kind::kNil:
        reply = {};
        break;
      case RedisReply::Kind::kError:
        wrong_type = answer.text.starts_with("WRONGTYPE");
        why = "GET: " + quote(answer.text);
        break;
      default:
        wrong_type = true;
        why = "GET: it answers with no text";
        break;
    }
  } catch (const std::exception& error) {
    why = error.what();
  }
  bool counts = false;
  {
    const std::lock_guard lock(pending.mutex);
    counts = !pending.abandoned;
    pending.reply = std::move(reply);
    pending.done = true;
  }
  pending.changed.notify_one();
  if (wrong_type) {  // somebody's value under our key; Redis itself is well
    submit({.kind = Job::Kind::kErase, .key = job.key});
  } else if (!why.empty()) {
    if (counts || !connection.connected()) fail(why);
  } else if (counts && Clock::now() - pending.asked <= options.budget / kQuickAnswers) {
    breaker.success();
  }
}

void RedisStore::State::put(const Job& job) {
  const std::string value = encode_answer(*job.answer, job.key);
  const RedisReply reply =
      connection.command({"SET", name_of(job.key), value, "PX", ttl}, Clock::now() + kCommandTimeout);
  // No success for the breaker either way: look-ups are what waits, and one that takes a store may answer them late.
  if (reply.kind == RedisReply::Kind::kStatus) return;
  // Full (OOM), READONLY, NOPERM: it can still be read, so the breaker stays as it is.
  if (Clock::now() < next_warning) return;
  next_warning = Clock::now() + kWarningPause;
  log_warning("response cache: Redis at ", place, " takes no answers: ", quote(reply.text));
}

RedisStore::RedisStore(const RedisOptions& options, std::chrono::seconds ttl)
    : state_(std::make_shared<State>(options, ttl)) {
  thread_ = std::thread([state = state_] {
    state->run();
    {
      const std::lock_guard lock(state->mutex);
      state->ended = true;
    }
    state->changed.notify_all();
  });
}

RedisStore::~RedisStore() { stop(); }

void RedisStore::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
  }
  state_->changed.notify_all();
  state_->connection.stop();
  std::unique_lock lock(state_->mutex);
  const bool ended = state_->changed.wait_for(lock, kStopTimeout, [this] { return state_->ended; });
  lock.unlock();
  // The look-up of a name cannot be ended: its thread, which holds all it touches, ends when it can.
  ended ? thread_.join() : thread_.detach();
}

bool RedisStore::breaker_open() const { return state_->breaker.open(); }

RedisStore::Reply RedisStore::get(const std::string& key, LookUpTime& time) {
  const auto left = state_->options.budget - time.waited;
  if (!state_->usable() || left.count() <= 0) return {};
  auto pending = std::make_shared<Pending>();
  if (!state_->submit({.kind = Job::Kind::kGet, .key = key, .pending = pending})) return {.failed = true};
  std::unique_lock lock(pending->mutex);
  const bool done = pending->changed.wait_for(lock, left, [&] { return pending->done; });
  time.waited += Clock::now() - pending->asked;
  if (done) {
    ++time.answered;
    return std::move(pending->reply);
  }
  pending->abandoned = true;
  lock.unlock();
  time.waited = state_->options.budget;  // nothing is left, whatever the clocks' ticks
  if (time.answered == 0)
    state_->fail(str("no answer within ", state_->options.budget.count(), " ms"));
  else if (time.answered < kQuickAnswers)
    state_->fail(str("only ", time.answered, time.answered == 1 ? " answer" : " answers", " within ",
                     state_->options.budget.count(), " ms"));
  return {.failed = true};
}

void RedisStore::put(const std::string& key, CachedAnswerPtr answer) {
  if (state_->usable()) state_->submit({.kind = Job::Kind::kPut, .key = key, .answer = std::move(answer)});
}

void RedisStore::erase(const std::string& key) {
  if (state_->usable()) state_->submit({.kind = Job::Kind::kErase, .key = key});
}

}  // namespace qwen
