// The tokens of one request on their way from the engine thread to a reader. Dropping the stream cancels the request:
// the engine frees its sequence within one step. The buffer holds up to max_tokens events, so the engine never waits
// for a reader.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/token_id.h"

namespace qwen {

enum class FinishReason { kNone, kStop, kLength, kCancelled, kDeadline, kQueueTimeout, kError };

struct TokenEvent {
  TokenId id = -1;    // -1: no token, only the end (cancelled, error)
  float logprob = 0;  // of `id` under the model's distribution at temperature 1, before any filter
  FinishReason finish_reason = FinishReason::kNone;  // of the last event
  std::string error;                                 // for kError: text for the client
};

class TokenChannel;  // shared by engine and stream; see token_channel.h

class TokenStream {
 public:
  explicit TokenStream(std::shared_ptr<TokenChannel> channel);
  TokenStream(TokenStream&&) noexcept = default;
  TokenStream& operator=(TokenStream&&) noexcept;
  ~TokenStream();  // cancels what has not finished

  // The next event; nullopt when none came within `timeout` or after the last one. From one reader thread at a time.
  std::optional<TokenEvent> next(std::chrono::milliseconds timeout);
  std::optional<TokenEvent> poll();  // without waiting

  int prompt_tokens() const;
  int cached_tokens() const;  // prompt tokens whose keys and values were found in the cache

 private:
  std::shared_ptr<TokenChannel> channel_;
};

}  // namespace qwen
