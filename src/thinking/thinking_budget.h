// Watches the tokens of an output and says when its thought has to be closed and with which forced ids. Pure logic over
// ids; the clock is an argument. Source: qwen3-facts.md E1, E2.
//
// What it keeps, for every model whose vocabulary has </think>:
// - Thought tokens (the tags not counted, over all thoughts of the output together) never exceed budget + closing: at
//   the budget the closing sequence is forced, after a split UTF-8 character was finished.
// - There is an answer (where `ensure_answer`): the thought is closed while max_tokens leaves room for `answer_reserve`
// tokens; a stop token in
// a
//   thought closes the thought instead of ending the output; and no stop token or tag is allowed before the answer has
//   a visible character.
// - A thought that was closed by force stays closed: a further <think> is answered by </think>.
//
// Without `ensure_answer` the model goes its own way, token for token, until budget, time, loop guard or the client
// close a thought; from there on the above holds.
//
// Budget, reserve and loop guard are functions of the tokens: the same seed gives the same output. The time limits are
// by nature not: they close the thought at another token on a slower or busier machine; nor is finish(). Each is
// decided between tokens.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"
#include "thinking/loop_guard.h"
#include "thinking/reasoning_parser.h"

namespace qwen {

// What Qwen3 was shown where a thought ends early; published with the model.
inline constexpr std::string_view kEarlyStopSentence =
    "Considering the limited time by the user, I have to give the solution based on the thinking directly now.";

// What ended the thought. kNone: nothing yet. kDeadline: either time limit. kClient: the client asked for the answer,
// cancelled the request or went away. kLength: the output's length limit.
enum class ThinkingEnd { kNone, kNatural, kBudget, kDeadline, kLoop, kClient, kLength };
std::string_view thinking_end_name(ThinkingEnd end);  // natural, budget, …; kNone is "natural"

struct ThinkingLimits {
  using Clock = std::chrono::steady_clock;

  int budget = -1;                                // thought tokens; -1 = none
  std::optional<std::chrono::milliseconds> time;  // from the first token on
  std::optional<Clock::time_point> deadline;      // of thought and answer together
  int max_tokens = 0;                             // of the whole output; 0 = no bound
  int answer_reserve = 0;                         // how many of them the answer may need; also reserved in time
  bool loop_guard = false;
  bool ensure_answer = true;  // false: max_tokens closes no thought, and stop tokens mean what they mean
};

// What a model's vocabulary has to say about it.
struct ThinkingVocabulary {
  ReasoningTokens tags;                // think_close is there
  std::vector<TokenId> closing;        // kEarlyStopSentence, </think> and the blank line, as this model's tokens
  std::vector<TokenId> short_closing;  // without the sentence, for where there is no room for it
  std::vector<TokenId> stop_tokens;    // would end the output
  std::function<std::string_view(TokenId)> bytes;  // of a token; empty for one that no text shows
};

class ThinkingBudget {
 public:
  using Clock = ThinkingLimits::Clock;

  // `starts_in_thought` as for ReasoningParser.
  ThinkingBudget(ThinkingVocabulary vocabulary, const ThinkingLimits& limits, bool starts_in_thought);

  struct Next {
    TokenId forced = -1;                   // ≥ 0: this one comes next
    TokenId stop_becomes = -1;             // ≥ 0: takes the place of a stop token that is drawn
    std::span<const TokenId> barred = {};  // none of these; valid until the next call
  };
  Next next(Clock::time_point now);  // for the position after all tokens so far; to be asked once for each
  void advance(TokenId id);          // it was chosen
  void finish() { asked_ = true; }   // the client wants the answer: a thought is closed at the next position

  int thought_tokens() const { return thought_tokens_; }
  ThinkingEnd forced_by() const { return forced_by_; }  // kNone while the model goes its own way

 private:
  enum class State { kStart, kThought, kAnswer };

  void note_time(Clock::time_point now);
  ThinkingEnd reason_to_close(Clock::time_point now) const;
  bool too_late(Clock::time_point now) const;
  bool sentence_fits(Clock::time_point now) const;
  void close(ThinkingEnd reason, Clock::time_point now);
  void take_text(TokenId id);

  ThinkingVocabulary vocabulary_;
  ThinkingLimits limits_;
  State state_;
  std::vector<TokenId> barred_;          // before the answer has text
  std::vector<TokenId> reopened_close_;  // </think> alone

  int output_tokens_ = 0, thought_tokens_ = 0;
  std::string open_character_;  // bytes of a character that more tokens could complete
  int finishing_ = 0;           // tokens since the thought should have been closed
  bool answer_has_text_ = false;
  LoopGuard loop_guard_;
  bool looped_ = false;
  bool asked_ = false;  // finish()

  std::span<const TokenId> forced_;  // what is still to be forced
  ThinkingEnd forced_by_ = ThinkingEnd::kNone;

  std::optional<Clock::time_point> begun_, last_;  // first and newest call of next()
  Clock::duration recent_{0};                      // time of a token, the newest ones weighing most
};

}  // namespace qwen
