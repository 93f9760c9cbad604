// The name of an answer in the response cache: a digest over all that shapes its tokens, in canonical form. Two
// requests have the same key exactly where the engine and the text stream above it cannot tell them apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "engine/sampling_params.h"
#include "server/thinking_plan.h"

namespace qwen {

struct CacheKeyFields {
  std::string_view fingerprint;     // ModelInfo's: weights, tokenizer, formats, device and kernels
  std::string_view salt;            // CacheUse's
  std::span<const TokenId> prompt;  // rendered: system prompt, tools and template are in it
  const SamplingParams& sampling;   // complete
  bool seed_chosen = true;          // false: any draw will do, so that seed is no part of it,
  int sample = 0;                   // but for which one it is of several that should differ
  std::span<const std::string> stop;
  bool starts_in_thought = false, separate_thought = true;
  const ThinkingRequest* thinking = nullptr;  // null: nothing watches the thought
  OutputPlan plan;
};

// 64 hexadecimal digits.
std::string cache_key(const CacheKeyFields& fields);

}  // namespace qwen
