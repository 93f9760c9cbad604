#include "server/thinking_plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "text/tokenizer.h"

namespace qwen {
namespace {

constexpr int kSharedReserve = 256;
constexpr int kMargin = 4;  // a character that is finished first, an opening tag of the model's own

}  // namespace

std::optional<ThinkingVocabulary> thinking_vocabulary(const Tokenizer& tokenizer,
                                                      std::span<const TokenId> stop_tokens) {
  ThinkingVocabulary vocabulary;
  vocabulary.tags = {tokenizer.token_id("<think>"), tokenizer.token_id("</think>")};
  if (!vocabulary.tags.think_close) return std::nullopt;
  constexpr std::string_view kShort = "\n</think>\n\n";
  vocabulary.closing = tokenizer.encode(std::string("\n\n").append(kEarlyStopSentence).append(kShort));
  vocabulary.short_closing = tokenizer.encode(kShort);
  vocabulary.stop_tokens.assign(stop_tokens.begin(), stop_tokens.end());
  vocabulary.bytes = [&tokenizer](TokenId id) {
    return tokenizer.is_special(id) ? std::string_view() : tokenizer.token_bytes(id);
  };
  return vocabulary;
}

OutputPlan plan_shared_output(int max_tokens) {
  return {.max_tokens = max_tokens, .max_answer_tokens = 0, .answer_reserve = std::min(kSharedReserve, max_tokens / 4)};
}

std::optional<OutputPlan> plan_output(const ThinkingRequest& thinking, int closing, long long room, long long cap) {
  const ThinkingRequest::AnswerLimit limit = thinking.answer.value_or(ThinkingRequest::AnswerLimit{});
  const long long most = std::min(room, cap);
  const long long least = static_cast<long long>(limit.asked_for ? limit.tokens : 1) + closing;
  if (most < 1 || (room <= cap && room < least)) return std::nullopt;
  const long long answer = std::clamp<long long>(limit.tokens, 1, limit.asked_for ? most : std::max(1LL, most / 2));
  const long long total =
      thinking.budget < 0 ? most : std::min(most, static_cast<long long>(thinking.budget) + closing + kMargin + answer);
  // Where the cap leaves no room for both, they share it.
  const long long reserve = std::max(std::min(answer, total - closing), std::min(answer, total / 4));
  return OutputPlan{.max_tokens = static_cast<int>(total),
                    .max_answer_tokens = static_cast<int>(answer),
                    .answer_reserve = static_cast<int>(reserve)};
}

std::unique_ptr<TokenConstraint> make_thinking_constraint(const ThinkingVocabulary& vocabulary,
                                                          const ThinkingRequest& thinking, const OutputPlan& plan,
                                                          std::optional<std::chrono::steady_clock::time_point> deadline,
                                                          bool starts_in_thought, std::shared_ptr<ThoughtLink> link) {
  const ThinkingLimits limits{.budget = thinking.budget,
                              .time = thinking.time,
                              .deadline = deadline,
                              .max_tokens = plan.max_tokens,
                              .answer_reserve = plan.answer_reserve,
                              .loop_guard = thinking.loop_guard,
                              .ensure_answer = thinking.ensure_answer};
  return std::make_unique<ThinkingConstraint>(ThinkingBudget(vocabulary, limits, starts_in_thought), std::move(link));
}

}  // namespace qwen
