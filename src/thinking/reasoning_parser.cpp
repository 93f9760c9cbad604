#include "thinking/reasoning_parser.h"

namespace qwen {
namespace {

std::string_view without_suffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

std::string_view without_leading_newlines(std::string_view text) {
  const size_t first = text.find_first_not_of('\n');
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

}  // namespace

ReasoningParser::ReasoningParser(ReasoningTokens tokens, bool starts_in_thought)
    : tokens_(tokens),
      state_(!tokens.think_close ? State::kAnswer
             : starts_in_thought ? State::kThought
                                 : State::kStart) {}

ReasoningDelta ReasoningParser::push(TokenId id, std::string_view text) {
  ReasoningDelta delta;
  const bool opens = tokens_.think_close && id == tokens_.think_open, closes = id == tokens_.think_close;
  if (!opens && !closes) {
    if (state_ == State::kThought) ++reasoning_tokens_;
    if (state_ == State::kStart) state_ = State::kAnswer;
    add(text, delta);
    return delta;
  }
  // In front of the tag may stand what the detokenizer held back: half a character, given up.
  add(without_suffix(text, opens ? "<think>" : "</think>"), delta);
  if (opens) {
    if (state_ != State::kThought) thought_empty_ = true;
    state_ = State::kThought;
  } else {
    if (state_ != State::kThought) ++stray_tags_;
    state_ = State::kAnswer;
    newlines_.clear();
  }
  return delta;
}

ReasoningDelta ReasoningParser::push_text(std::string_view text) {
  ReasoningDelta delta;
  add(text, delta);
  return delta;
}

void ReasoningParser::add(std::string_view text, ReasoningDelta& delta) {
  if (state_ == State::kThought)
    add_reasoning(text, delta.reasoning);
  else
    add_content(text, delta.content);
}

void ReasoningParser::add_reasoning(std::string_view text, std::string& out) {
  if (thought_empty_) {
    text = without_leading_newlines(text);
    if (text.empty()) return;
    if (reasoned_) out += "\n\n";
    thought_empty_ = false;
    reasoned_ = true;
  }
  const size_t solid = text.find_last_not_of('\n') + 1;
  if (solid > 0) {
    out += newlines_;
    out += text.substr(0, solid);
    newlines_.clear();
  }
  newlines_ += text.substr(solid);
}

void ReasoningParser::add_content(std::string_view text, std::string& out) {
  if (!content_started_) text = without_leading_newlines(text);
  content_started_ = content_started_ || !text.empty();
  out += text;
}

}  // namespace qwen
