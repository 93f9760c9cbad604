#include "server/api/thinking_fields.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace qwen {
namespace {

constexpr std::pair<std::string_view, int> kEfforts[] = {
    {"none", 0}, {"minimal", 256}, {"low", 1024}, {"medium", 4096}, {"high", 16384}, {"xhigh", 32768}, {"max", -1}};

std::optional<std::chrono::milliseconds> read_milliseconds(FieldReader& fields, std::string_view name) {
  const auto value = fields.integer(name, 1, kMaxMilliseconds);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

}  // namespace

void set_thinking_budget(ThinkingFields& thinking, int budget, const std::string& param) {
  if (thinking.budget && *thinking.budget != budget)
    throw_invalid(param, "agree with the other thinking budget of this request");
  thinking.budget = budget;
}

ThinkingFields read_thinking_fields(FieldReader& fields) {
  ThinkingFields thinking;
  for (const std::string_view name : kBudgetFields) {
    if (const auto value = fields.integer(name, -1, kMaxThinkingBudget))
      set_thinking_budget(thinking, static_cast<int>(*value), fields.param(name));
  }
  thinking.time = read_milliseconds(fields, "thinking_time_ms");
  thinking.deadline = read_milliseconds(fields, "deadline_ms");
  return thinking;
}

void read_reasoning_effort(FieldReader& fields, ThinkingFields& thinking) {
  const auto effort = fields.string("reasoning_effort");
  if (!effort) return;
  const auto row = std::find_if(std::begin(kEfforts), std::end(kEfforts),
                                [&](const auto& candidate) { return candidate.first == *effort; });
  if (row == std::end(kEfforts))
    throw_invalid(fields.param("reasoning_effort"), "be one of none, minimal, low, medium, high, xhigh, max");
  set_thinking_budget(thinking, row->second, fields.param("reasoning_effort"));
}

ThinkingRequest to_thinking_request(const ThinkingFields& fields) {
  const int budget = fields.budget.value_or(-1);
  return {.budget = budget, .time = fields.time, .ensure_answer = budget >= 0 || fields.time, .answer = std::nullopt};
}

std::chrono::steady_clock::time_point deadline_of(const ThinkingFields& fields,
                                                  std::chrono::steady_clock::time_point arrived,
                                                  std::chrono::seconds timeout) {
  return arrived + (fields.deadline ? std::chrono::steady_clock::duration(*fields.deadline) : timeout);
}

}  // namespace qwen
