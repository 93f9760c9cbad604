// How long a request may think and take: the fields that every generating route shares.
#pragma once

#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/field_reader.h"
#include "server/thinking_plan.h"

namespace qwen {

inline constexpr int64_t kMaxMilliseconds = 86'400'000;  // a day

// The budget's names: ours, and those at other services.
inline constexpr std::string_view kBudgetFields[] = {"thinking_budget", "thinking_token_budget",
                                                     "thinking_budget_tokens", "reasoning_budget_tokens",
                                                     "reasoning_budget"};

struct ThinkingFields {
  std::optional<int> budget;  // tokens; -1 = no limit
  std::optional<std::chrono::milliseconds> time, deadline;
};

// kBudgetFields, thinking_time_ms, deadline_ms. Errors: kInvalidValue; also for two budgets that differ.
ThinkingFields read_thinking_fields(FieldReader& fields);

// One more name of the budget. Errors: kInvalidValue naming `param` where another one was given that differs.
void set_thinking_budget(ThinkingFields& thinking, int budget, const std::string& param);
inline constexpr int64_t kMaxThinkingBudget = std::numeric_limits<int32_t>::max();

// reasoning_effort as a budget: none 0, minimal 256, low 1024, medium 4096, high 16384, xhigh 32768, max no limit.
// Errors: kInvalidValue; also where a budget was given that differs.
void read_reasoning_effort(FieldReader& fields, ThinkingFields& thinking);

// What these fields ask of a thought. A budget or a time ensures an answer; without one no token is changed, except
// that the deadline, the request's own or the server's, closes the thought in time for an answer.
ThinkingRequest to_thinking_request(const ThinkingFields& fields);

// When the request has to be answered; `timeout` where it does not say.
std::chrono::steady_clock::time_point deadline_of(const ThinkingFields& fields,
                                                  std::chrono::steady_clock::time_point arrived,
                                                  std::chrono::seconds timeout);

}  // namespace qwen
