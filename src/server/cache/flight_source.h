// A reader of a flight: the request that computes, or one that joined it. Where a flight fails one that only joined it,
// that request computes the answer itself and goes on behind what it has given out: equal requests get equal tokens.
#pragma once

#include <memory>

#include "server/cache/replay_source.h"
#include "server/cache/response_cache.h"

namespace qwen {

class FlightSource final : public TokenSource {
 public:
  FlightSource(std::shared_ptr<ResponseCache> cache, CacheAsk ask, Flight::OnEvents reader,
               std::shared_ptr<Flight> flight, bool leads);
  ~FlightSource() override;

  std::optional<TokenEvent> next(std::chrono::milliseconds timeout) override;
  int prompt_tokens() const override { return ask_.prompt_tokens; }
  int cached_tokens() const override;
  bool computes() const override { return leads_; }
  ThinkingEnd thinking_end() const override;
  ThoughtFinish finish_thought() override;
  void complete(FinishReason reason) override;

 private:
  bool fails_me(const TokenEvent& event);
  bool time_to_begin_anew() const;
  std::optional<TokenEvent> begin_anew(const TokenEvent& failure);  // an event: the end, as that was impossible
  void leave();

  const std::shared_ptr<ResponseCache> cache_;
  const CacheAsk ask_;
  const Flight::OnEvents reader_;
  std::shared_ptr<Flight> flight_;  // null: `stored_` instead
  CachedAnswerPtr stored_;
  bool leads_;
  bool retried_ = false;  // after an error of the engine: it may be this request's own fault
  bool stays_ = false;    // with a flight whose thought its deadline cut
  bool ended_ = false;
  size_t cursor_ = 0;  // events given out
  Turn turn_;
};

}  // namespace qwen
