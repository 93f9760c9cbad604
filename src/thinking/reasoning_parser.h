// Tells thought from answer in a model's output by token ids (a text "</think>" typed by the model in other tokens does
// not count).
//
//   thought → </think> → answer; a further <think> opens a new thought, a further </think> in the answer is swallowed.
//
// The newlines that surround a thought and lead an answer are not part of either: trailing newlines of the thought are
// held back until more of it follows. Text given in pieces joins to the same two texts as the whole output at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/token_id.h"

namespace qwen {

struct ReasoningTokens {
  std::optional<TokenId> think_open;   // <think>; absent in a vocabulary without it
  std::optional<TokenId> think_close;  // </think>
};

struct ReasoningDelta {
  std::string reasoning;
  std::string content;
};

class ReasoningParser {
 public:
  // `starts_in_thought`: the rendered prompt ends in "<think>\n" (text/chat_template.h).
  ReasoningParser(ReasoningTokens tokens, bool starts_in_thought);

  // `text` is what the detokenizer gave for this token, all of it text of the state before the token; for the two tags
  // it may hold the tag's own text, which is left out.
  ReasoningDelta push(TokenId id, std::string_view text);
  ReasoningDelta push_text(std::string_view text);  // text without a token of its own: the detokenizer's flush()

  bool in_thought() const { return state_ == State::kThought; }
  bool answered() const { return state_ == State::kAnswer; }  // false at the end: the thought was cut, content is null
  int reasoning_tokens() const {
    return reasoning_tokens_;
  }                                               // tokens up to and with the </think> that closes each thought
  int stray_tags() const { return stray_tags_; }  // </think> within an answer

 private:
  enum class State { kMaybe, kThought, kAnswer };

  void add(std::string_view text, ReasoningDelta& delta);
  void open_thought();
  void close_thought();

  ReasoningTokens tokens_;
  State state_;
  bool at_start_ = true;      // nothing but newlines so far in this thought or answer
  std::string newlines_;      // held back at the end of a thought
  bool had_thought_ = false;  // a later thought is set off from the one before by a blank line
  bool had_answer_ = false;
  int reasoning_tokens_ = 0;
  int stray_tags_ = 0;
};

}  // namespace qwen
