// Measures one generation from its request's arrival to its end and enters the figures into the metrics at once, or at
// the end. Invariant: every generation is counted as finished exactly once, an abandoned one as "abort". Used by one
// thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/token_stream.h"

namespace qwen {

struct Completion;
struct Metrics;
struct TextDelta;

std::string_view finish_reason_label(FinishReason reason);  // stop, length, abort, timeout, error

class GenerationMeter {
 public:
  using Clock = std::chrono::steady_clock;
  // Null metrics: nothing is measured.
  GenerationMeter(std::shared_ptr<const Metrics> metrics, Clock::time_point started);

  void token(Clock::time_point now = Clock::now());  // one has come
  void text(const TextDelta& delta, Clock::time_point now = Clock::now());
  void finished(const Completion& completion, Clock::time_point now = Clock::now());

 private:
  const std::shared_ptr<const Metrics> metrics_;
  const Clock::time_point started_;
  int tokens_ = 0;
  Clock::time_point first_token_, last_token_;
  std::optional<Clock::time_point> last_text_;
  bool answer_began_ = false;
};

}  // namespace qwen
