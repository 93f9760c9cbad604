// Tells thought from answer in a model's output by token ids ("</think>" spelt in ordinary tokens does not count).
//
//   thought → </think> → answer; a further <think> opens a new thought, a further </think> within an answer is
//   swallowed.
//
// The newlines around a thought and in front of an answer belong to neither: trailing newlines of a thought are held
// back until more of it follows. Joined, the pieces do not depend on how the text was cut. Source: qwen3-facts.md E1,
// after Qwen's own rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/token_id.h"

namespace qwen {

struct ReasoningTokens {
  std::optional<TokenId> think_open;   // <think>
  std::optional<TokenId> think_close;  // </think>; absent in a vocabulary without it: then everything is answer
};

// What one step adds to the two texts; both may be empty.
struct ReasoningDelta {
  std::string reasoning;
  std::string content;
};

class ReasoningParser {
 public:
  // `starts_in_thought`: the rendered prompt ends in "<think>\n" (text/chat_template.h).
  ReasoningParser(ReasoningTokens tokens, bool starts_in_thought);

  // One generated token and the text that it completed (Detokenizer::push). The text of the two tags themselves is left
  // out, whether or not the detokenizer gives it.
  ReasoningDelta push(TokenId id, std::string_view text);

  // Text without a token of its own: Detokenizer::flush() at the end.
  ReasoningDelta push_text(std::string_view text);

  bool in_thought() const { return state_ == State::kThought; }

  // False at the end: the thought was never closed, so there is no answer (content null, not "").
  bool answered() const { return state_ == State::kAnswer; }

  int reasoning_tokens() const { return reasoning_tokens_; }  // tokens within thoughts, the tags not counted
  int stray_tags() const { return stray_tags_; }              // </think> within an answer

 private:
  enum class State { kStart, kThought, kAnswer };  // kStart: the first token decides

  void add_reasoning(std::string_view text, std::string& out);
  void add_content(std::string_view text, std::string& out);
  void add(std::string_view text, ReasoningDelta& delta);

  ReasoningTokens tokens_;
  State state_;
  std::string newlines_;          // of a thought, held back
  bool thought_empty_ = true;     // only newlines so far in this thought
  bool reasoned_ = false;         // some thought has text; a later one is set off by a blank line
  bool content_started_ = false;  // the answer has text
  int reasoning_tokens_ = 0;
  int stray_tags_ = 0;
};

}  // namespace qwen
