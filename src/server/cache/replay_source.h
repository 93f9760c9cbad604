// A stored answer read as if the engine computed it. It comes in turns of a few tokens, a stream's chunks, so that a
// long answer does not overflow what may wait for a client.
#pragma once

#include <functional>

#include "server/cache/cached_answer.h"
#include "server/token_source.h"

namespace qwen {

// Counts the events of a turn. A live answer brings a few a wake-up; a stored one is there at once.
class Turn {
 public:
  static constexpr int kTokens = 64;

  // True: enough for now; `on_events` was called, for the next turn.
  bool over(const std::function<void()>& on_events) {
    if (given_ < kTokens) return false;
    given_ = 0;
    if (on_events) on_events();
    return true;
  }
  void given() { ++given_; }
  void paused() { given_ = 0; }

 private:
  int given_ = 0;
};

class ReplaySource final : public TokenSource {
 public:
  ReplaySource(CachedAnswerPtr answer, std::function<void()> on_events)
      : answer_(std::move(answer)), on_events_(std::move(on_events)) {}

  std::optional<TokenEvent> next(std::chrono::milliseconds) override {
    if (next_ == answer_->num_events() || turn_.over(on_events_)) return std::nullopt;
    turn_.given();
    return answer_->event(next_++);
  }
  int prompt_tokens() const override { return answer_->prompt_tokens; }
  int cached_tokens() const override { return answer_->prompt_tokens; }
  bool computes() const override { return false; }
  ThinkingEnd thinking_end() const override { return answer_->thinking_end; }

 private:
  const CachedAnswerPtr answer_;
  const std::function<void()> on_events_;
  size_t next_ = 0;
  Turn turn_;
};

}  // namespace qwen
