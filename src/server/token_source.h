// Where the tokens of a TextStream come from: the engine, or the response cache (a stored answer, or what another
// request computes at this moment). Dropping a source gives up what it has under way. Used by one thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "engine/thinking_constraint.h"
#include "engine/token_stream.h"

namespace qwen {

// What comes of a client's wish to have its answer now. kShared: others, who have no such wish, read the same
// computation, and it goes on.
enum class ThoughtFinish { kNoThought, kShared, kFinishing };

class TokenSource {
 public:
  virtual ~TokenSource() = default;

  // The next event; nullopt where none came within `timeout` (0: without waiting), or after the last one.
  virtual std::optional<TokenEvent> next(std::chrono::milliseconds timeout) = 0;
  virtual int prompt_tokens() const = 0;
  virtual int cached_tokens() const = 0;         // of the prompt: not computed for this request
  virtual bool computes() const = 0;             // for this request: not stored, not read along with another's
  virtual ThinkingEnd thinking_end() const = 0;  // why the thought was closed by force; kNone where it was not

  // The thought under way is to be closed at the next token.
  virtual ThoughtFinish finish_thought() { return ThoughtFinish::kNoThought; }

  // The reader has the whole answer: with the events read so far it ended for `reason`, as it would every time.
  virtual void complete(FinishReason /*reason*/) {}
};

// A computation of the engine's, and the way to the constraint that watches its thought (null without one).
struct EngineTokens {
  TokenStream tokens;
  std::shared_ptr<ThoughtLink> thought;

  ThinkingEnd closed_by() const {
    return thought ? thought->closed_by.load(std::memory_order_relaxed) : ThinkingEnd::kNone;
  }
  ThoughtFinish finish_thought() const {
    if (!thought) return ThoughtFinish::kNoThought;
    thought->finish.store(true, std::memory_order_relaxed);
    return ThoughtFinish::kFinishing;
  }
};

// Submits to the engine: `seed` for the draws, `on_events` as in GenerationRequest. Errors: those of Engine::submit.
using ComputeTokens = std::function<EngineTokens(uint64_t seed, std::function<void()> on_events)>;

class EngineSource final : public TokenSource {
 public:
  explicit EngineSource(EngineTokens engine) : engine_(std::move(engine)) {}

  std::optional<TokenEvent> next(std::chrono::milliseconds timeout) override { return engine_.tokens.next(timeout); }
  int prompt_tokens() const override { return engine_.tokens.prompt_tokens(); }
  int cached_tokens() const override { return engine_.tokens.cached_tokens(); }
  bool computes() const override { return true; }
  ThinkingEnd thinking_end() const override { return engine_.closed_by(); }
  ThoughtFinish finish_thought() override { return engine_.finish_thought(); }

 private:
  EngineTokens engine_;
};

}  // namespace qwen
