// The text of one request as it comes: tokens → text → thought and answer → stop strings. Dropping it cancels the
// request. Used by one thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/cache/cache_use.h"
#include "server/generation_meter.h"
#include "server/token_source.h"
#include "text/detokenizer.h"
#include "text/stop_matcher.h"
#include "thinking/reasoning_parser.h"
#include "thinking/thinking_budget.h"

namespace qwen {

struct TextDelta {
  std::string reasoning;  // comes before `content` where both are there
  std::string content;
  bool empty() const { return reasoning.empty() && content.empty(); }
};

struct Usage {
  int prompt_tokens = 0;
  int completion_tokens = 0;  // thought, answer and the token that ended it
  int cached_tokens = 0;      // of the prompt
  int reasoning_tokens = 0;   // of the completion
};

struct Completion {
  std::string text, reasoning;
  bool answered = false;  // false: the thought was cut before an answer began
  FinishReason finish_reason = FinishReason::kNone;
  std::string error;        // for kError
  std::string stop_string;  // that ended the answer
  bool cancelled = false;   // by its client, who is given what had come: kCancelled is no failure then
  Usage usage;
  bool cached = false;                            // not computed for this request
  double seconds = 0;                             // from the request's start
  ThinkingEnd thinking_end = ThinkingEnd::kNone;  // what ended the thought; kNatural where there was none
  int thinking_budget = -1;                       // as asked for; -1 = none
  // The answer's tokens from its first visible one to its last, the stop token not counted.
  int answer_tokens = 0;
  double answer_logprob = 0;  // their sum, under the model's distribution at temperature 1

  bool timed_out() const { return finish_reason == FinishReason::kDeadline; }
  double answer_probability() const;  // geometric mean over answer_tokens, 0…1; 0 where there are none
};

class TextStream {
 public:
  struct Setup {
    std::shared_ptr<const Tokenizer> tokenizer;
    ReasoningTokens reasoning_tokens;
    bool starts_in_thought = false;
    bool may_think = true;          // a thought may come, where the prompt opens none
    bool separate_thought = true;   // false: everything is content, the tags included
    std::vector<std::string> stop;  // apply to the answer, not to the thought
    std::chrono::steady_clock::time_point started;
    std::shared_ptr<const Metrics> metrics = nullptr;  // may be null
    int thinking_budget = -1;                          // for Completion
    int max_answer_tokens = 0;                         // ends the answer with kLength; 0 = no limit of its own
    CacheResult cache = CacheResult::kOff;
  };
  TextStream(Setup setup, std::unique_ptr<TokenSource> tokens);
  ~TextStream();
  TextStream(const TextStream&) = delete;
  TextStream& operator=(const TextStream&) = delete;

  // Everything that has come and was not given out yet; nullopt where there is nothing. Never waits.
  std::optional<TextDelta> poll();
  // Waits for the next text, or the end (nullopt), up to `timeout`.
  std::optional<TextDelta> next(std::chrono::milliseconds timeout);

  // What its client may ask for on the way. The end of a cancelled one comes with the next poll(), with what has come.
  ThoughtFinish finish_thought();
  void cancel() { cancel_asked_ = true; }

  // Prompt and new tokens that were computed for this request so far; the prompt from the first new token on.
  int computed_tokens() const { return computed_tokens_; }
  CacheResult cache_result() const { return setup_.cache; }
  bool in_thought() const { return parser_.in_thought(); }
  int reasoning_tokens() const { return parser_.reasoning_tokens(); }  // so far
  bool finished() const { return completion_.finish_reason != FinishReason::kNone; }
  const Completion& completion() const { return completion_; }  // so far; complete once finished

 private:
  void take(const TokenEvent& event, TextDelta& delta);
  ReasoningDelta parse(std::optional<TokenId> id, std::string text);  // no id: text that no token of its own ends
  void add(const ReasoningDelta& parsed, TextDelta& delta);
  void add_content(std::string content, TextDelta& delta);
  void count_answer(const TokenEvent& event, const std::string& content);
  ThinkingEnd thinking_end(FinishReason reason) const;
  void finish(FinishReason reason, TextDelta& delta);

  const Setup setup_;
  std::unique_ptr<TokenSource> tokens_;  // gone once finished
  Detokenizer detokenizer_;
  ReasoningParser parser_;
  StopMatcher stops_;
  Completion completion_;
  int computed_tokens_ = 0;
  bool cancel_asked_ = false;
  bool answer_visible_ = false;  // the answer has a character that is not white space
  GenerationMeter meter_;
};

using TextStreams = std::vector<std::unique_ptr<TextStream>>;

}  // namespace qwen
