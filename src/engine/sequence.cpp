// See sequence.h.
#include "engine/sequence.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace qwen {

namespace {

bool has_penalty(const SamplingParams& sampling) {
  return sampling.repetition_penalty != 1.0f || sampling.presence_penalty != 0.0f || sampling.frequency_penalty != 0.0f;
}

}  // namespace

Sequence::Sequence(RequestId id, std::vector<TokenId> prompt, SamplingParams sampling, int max_model_len,
                   std::unique_ptr<TokenConstraint> constraint)
    : id_(id),
      sampling_(std::move(sampling)),
      constraint_(std::move(constraint)),
      token_ids_(std::move(prompt)),
      num_prompt_tokens_(static_cast<int>(token_ids_.size())),
      max_num_tokens_(max_model_len) {
  QWEN_CHECK(num_prompt_tokens_ > 0 && num_prompt_tokens_ < max_model_len);
  max_num_tokens_ = num_prompt_tokens_ + std::min(sampling_.max_tokens, max_model_len - num_prompt_tokens_);
  if (has_penalty(sampling_)) {
    for (const TokenId token : token_ids_) token_counts_.emplace(token, 0);
  }
}

FinishReason Sequence::append(TokenId id) {
  token_ids_.push_back(id);
  if (has_penalty(sampling_)) ++token_counts_[id];
  const std::vector<TokenId>& stops = sampling_.stop_token_ids;
  if (std::find(stops.begin(), stops.end(), id) != stops.end()) return FinishReason::kStop;
  return num_tokens() >= max_num_tokens_ ? FinishReason::kLength : FinishReason::kNone;
}

void Sequence::set_num_computed_tokens(int count) {
  QWEN_CHECK(count >= 0 && count <= num_tokens());
  num_computed_tokens_ = count;
}

}  // namespace qwen
