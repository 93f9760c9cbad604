// An answer as the response cache keeps it: its tokens with their probabilities, from which the text stream makes the
// same text, chunks and figures as it did the first time. Encoded for Redis as an envelope that is believed only where
// all of it fits: magic, version, the key that it was stored under, sizes, a digest over everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "engine/token_stream.h"
#include "thinking/thinking_budget.h"

namespace qwen {

struct CachedToken {
  TokenId id = -1;
  float logprob = 0;
  bool operator==(const CachedToken&) const = default;
};

struct CachedAnswer {
  std::vector<CachedToken> tokens;                   // not empty
  FinishReason finish_reason = FinishReason::kStop;  // kStop or kLength
  bool end_has_token = false;  // the engine ended it with the last token; else the text stream did, after it
  ThinkingEnd thinking_end = ThinkingEnd::kNone;  // of the constraint: why the thought was closed by force
  int prompt_tokens = 0;

  bool operator==(const CachedAnswer&) const = default;
  TokenEvent event(size_t at) const;  // at < num_events()
  size_t num_events() const { return tokens.size() + (end_has_token ? 0 : 1); }
  size_t bytes() const { return sizeof(CachedAnswer) + tokens.size() * sizeof(CachedToken); }
};
using CachedAnswerPtr = std::shared_ptr<const CachedAnswer>;

// Longer answers are not stored: 1 MiB encoded.
inline constexpr size_t kMaxCachedTokens = (size_t{1} << 20) / sizeof(CachedToken);
inline constexpr size_t kMaxEncodedAnswer = kMaxCachedTokens * sizeof(CachedToken) + 256;

std::string encode_answer(const CachedAnswer& answer, std::string_view key);

// Null where `bytes` is anything else than an answer to this key with ids below `vocab_size` and a prompt of
// `prompt_tokens`. Nothing is allocated before the sizes are known to fit.
CachedAnswerPtr decode_answer(std::string_view bytes, std::string_view key, int vocab_size, int prompt_tokens);

}  // namespace qwen
