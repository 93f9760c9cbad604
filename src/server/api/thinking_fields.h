// How long a request may think and take: the fields that every generating route shares.
#pragma once

#include <chrono>
#include <optional>

#include "server/api/field_reader.h"
#include "server/thinking_plan.h"

namespace qwen {

inline constexpr int64_t kMaxMilliseconds = 86'400'000;  // a day

struct ThinkingFields {
  std::optional<int> budget;  // tokens; -1 = no limit
  std::optional<std::chrono::milliseconds> time, deadline;
};

// thinking_budget and its names at other services (thinking_token_budget, thinking_budget_tokens,
// reasoning_budget_tokens, reasoning_budget), thinking_time_ms, deadline_ms. Errors: kInvalidValue; also for two
// budgets that differ.
ThinkingFields read_thinking_fields(FieldReader& fields);

// reasoning_effort as a budget: none 0, minimal 256, low 1024, medium 4096, high 16384, xhigh 32768, max no limit.
// Errors: kInvalidValue; also where a budget was given that differs.
void read_reasoning_effort(FieldReader& fields, ThinkingFields& thinking);

// What these fields ask of a thought; nullopt where nothing was asked.
std::optional<ThinkingRequest> to_thinking_request(const ThinkingFields& fields);

// When the request has to be answered; `timeout` where it does not say.
std::chrono::steady_clock::time_point deadline_of(const ThinkingFields& fields,
                                                  std::chrono::steady_clock::time_point arrived,
                                                  std::chrono::seconds timeout);

}  // namespace qwen
