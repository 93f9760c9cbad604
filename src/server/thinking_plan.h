// What a request asks of its thought, made into limits in tokens for one prompt: how long the whole output may be, how
// much of it the thought leaves to the answer, and the constraint that enforces it. The closing sentence becomes tokens
// here, by the model's own tokenizer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>

#include "engine/thinking_constraint.h"
#include "thinking/thinking_budget.h"

namespace qwen {

class Tokenizer;

struct ThinkingRequest {
  int budget = -1;  // most thought tokens; -1 = none; 0: the prompt should close the thought itself
  std::optional<std::chrono::milliseconds> time;  // most time for the thought, from the first token on
  bool loop_guard = false;                        // close a thought that goes round in circles
  // The thought leaves a part of max_tokens to the answer, and no stop token ends the output before it. False: the
  // deadline closes the thought, and nothing else is changed.
  bool ensure_answer = true;

  // The answer's own limit, the thought not counted. Absent: one limit for both, of which the thought leaves a part.
  struct AnswerLimit {
    int tokens = 1;
    bool asked_for = false;  // refused where it does not fit; else cut to what fits
  };
  std::optional<AnswerLimit> answer;
};

// nullopt where the vocabulary has no </think>: then there is no thought to limit. The result refers to `tokenizer`,
// which must outlive it.
std::optional<ThinkingVocabulary> thinking_vocabulary(const Tokenizer& tokenizer, std::span<const TokenId> stop_tokens);

struct OutputPlan {
  int max_tokens = 1;         // of the whole output
  int max_answer_tokens = 0;  // 0 = no limit of its own
  int answer_reserve = 0;     // tokens of the output that the thought leaves to the answer
};

// One limit for both: a quarter is reserved for the answer, 256 tokens at most.
OutputPlan plan_shared_output(int max_tokens);

// Thought and answer limited apart. `closing`: tokens of the closing sequence; `room`: what the context leaves for the
// output; `cap`: what the configuration allows, to which everything is cut. nullopt: an answer as asked for does not
// fit into the context.
std::optional<OutputPlan> plan_output(const ThinkingRequest& thinking, int closing, long long room, long long cap);

std::unique_ptr<TokenConstraint> make_thinking_constraint(const ThinkingVocabulary& vocabulary,
                                                          const ThinkingRequest& thinking, const OutputPlan& plan,
                                                          std::optional<std::chrono::steady_clock::time_point> deadline,
                                                          bool starts_in_thought, std::shared_ptr<ThoughtLink> link);

}  // namespace qwen
