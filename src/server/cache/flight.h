// One computation that several requests read: single flight. Every token that the engine gives is kept until the last
// reader has gone, so a reader may come at any time and begins at the first one. Invariants: the engine's stream is
// dropped by a reader's thread, never by the engine's, and as soon as nobody reads; a flight that is over never gets
// another event.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "server/cache/cached_answer.h"
#include "server/token_source.h"

namespace qwen {

class Flight : public std::enable_shared_from_this<Flight> {
 public:
  using Clock = std::chrono::steady_clock;
  using OnEvents = std::shared_ptr<const std::function<void()>>;  // a reader; identity is the pointer
  using Deadline = std::optional<Clock::time_point>;

  // `deadline`: of the request that computes.
  Flight(uint64_t with_seed, Deadline until, int tokens_of_prompt)
      : seed(with_seed), deadline(until), started(Clock::now()), prompt_tokens(tokens_of_prompt) {}

  const uint64_t seed;
  const Deadline deadline;
  const Clock::time_point started;
  const int prompt_tokens;

  // False: it failed, everybody left, or it is one reader's own by now.
  bool join(const OnEvents& reader);
  bool over() const;  // nobody can join any more
  bool failed() const;
  // True: it was the last one, and what was under way is given up.
  bool leave(const OnEvents& reader);

  // What took its place after an error of the engine, for all its readers: whoever reads on later does not try again.
  std::mutex retry_mutex;  // guards the one below, also while it is made
  std::shared_ptr<Flight> retry;

  void launch(const ComputeTokens& compute);  // by who made it, once; what it throws ends the flight for all readers
  // The answer is complete: what the engine may still do is given up. True: the first time.
  bool settle(FinishReason reason);

  // Once all who read have asked for it: then nobody joins any more, for from here on the tokens are what their clients
  // made of them. Until then it goes on for all as it would.
  ThoughtFinish finish_thought(const OnEvents& reader);
  bool shaped() const;  // that is so

  // Event `at` of the output; nullopt where it has not come within `timeout`.
  std::optional<TokenEvent> event(size_t at, std::chrono::milliseconds timeout);
  // The first `count` events as an answer; null where it is too long to be kept, or no answer.
  CachedAnswerPtr answer(size_t count, FinishReason reason) const;

  ThinkingEnd thinking_end() const;
  int cached_tokens() const;  // of the prompt, by the engine

 private:
  using Readers = std::vector<OnEvents>;

  void pump();  // takes what the engine has
  void end(TokenEvent last);
  ThoughtFinish finish_thought_locked();  // where all readers have asked
  bool failed_locked() const;
  bool over_locked() const { return abandoned_ || shaped_ || failed_locked(); }
  ThinkingEnd closed_by() const {
    return thought_ ? thought_->closed_by.load(std::memory_order_relaxed) : ThinkingEnd::kNone;
  }

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<EngineTokens> engine_;  // from launch() to the end
  std::shared_ptr<const ThoughtLink> thought_;
  int cached_tokens_ = 0;
  std::vector<CachedToken> tokens_;
  std::optional<TokenEvent> end_;  // its id: of the last of tokens_ where the engine ended with one, else -1
  std::shared_ptr<const Readers> readers_ = std::make_shared<const Readers>();  // copied to be changed
  bool abandoned_ = false, settled_ = false;
  Readers asked_;        // to finish the thought
  bool shaped_ = false;  // it was done
};

// An end that is no answer, so that others had better compute themselves.
bool is_failure(FinishReason reason);

}  // namespace qwen
