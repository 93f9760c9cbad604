#include "server/text_stream.h"

#include <algorithm>
#include <cmath>

#include "text/tokenizer.h"

namespace qwen {

double Completion::answer_probability() const {
  return answer_tokens == 0 ? 0.0 : std::min(1.0, std::exp(answer_logprob / answer_tokens));
}

TextStream::TextStream(Setup setup, std::unique_ptr<TokenSource> tokens)
    : setup_(std::move(setup)),
      tokens_(std::move(tokens)),
      detokenizer_(*setup_.tokenizer),
      parser_(setup_.reasoning_tokens, setup_.starts_in_thought),
      stops_(setup_.stop),
      meter_(setup_.metrics, setup_.started) {
  completion_.usage.prompt_tokens = tokens_->prompt_tokens();
  completion_.cached = setup_.cache == CacheResult::kHit || setup_.cache == CacheResult::kJoined;
}

TextStream::~TextStream() {
  if (finished()) return;
  completion_.finish_reason = FinishReason::kCancelled;
  completion_.usage.reasoning_tokens = parser_.reasoning_tokens();
  completion_.thinking_end = thinking_end(FinishReason::kCancelled);
  meter_.finished(completion_);
}

std::optional<TextDelta> TextStream::poll() {
  TextDelta delta;
  while (!finished()) {
    const std::optional<TokenEvent> event = tokens_->next(std::chrono::milliseconds(0));
    if (!event) break;
    take(*event, delta);
  }
  if (cancel_asked_ && !finished()) {
    completion_.cancelled = true;
    finish(FinishReason::kCancelled, delta);
  }
  if (delta.empty()) return std::nullopt;
  meter_.text(delta);
  return delta;
}

// Before the first token it is not known yet whether a thought comes; the wish holds for one that does.
ThoughtFinish TextStream::finish_thought() {
  const bool thinks = parser_.in_thought() || (completion_.usage.completion_tokens == 0 && setup_.may_think);
  return finished() || !thinks ? ThoughtFinish::kNoThought : tokens_->finish_thought();
}

std::optional<TextDelta> TextStream::next(std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  TextDelta delta;
  while (!finished() && delta.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const std::optional<TokenEvent> event = tokens_->next(std::max(left, std::chrono::milliseconds(0)));
    if (!event) break;
    take(*event, delta);
  }
  if (delta.empty()) return std::nullopt;
  meter_.text(delta);
  return delta;
}

void TextStream::take(const TokenEvent& event, TextDelta& delta) {
  if (event.id >= 0) {
    ++completion_.usage.completion_tokens;
    if (tokens_->computes()) computed_tokens_ += computed_tokens_ == 0 ? 1 + completion_.usage.prompt_tokens : 1;
    meter_.token();
    const ReasoningDelta parsed = parse(event.id, detokenizer_.push(event.id));
    add(parsed, delta);
    count_answer(event, parsed.content);
    if (stops_.matched()) return finish(FinishReason::kStop, delta);
    if (setup_.max_answer_tokens > 0 && completion_.answer_tokens >= setup_.max_answer_tokens)
      return finish(FinishReason::kLength, delta);
  }
  if (event.finish_reason == FinishReason::kNone) return;
  completion_.error = event.error;
  finish(event.finish_reason, delta);
}

void TextStream::count_answer(const TokenEvent& event, const std::string& content) {
  if (parser_.in_thought()) return;
  answer_visible_ = answer_visible_ || content.find_first_not_of(" \t\r\n") != std::string::npos;
  if (!answer_visible_ || event.finish_reason == FinishReason::kStop) return;
  ++completion_.answer_tokens;
  completion_.answer_logprob += static_cast<double>(event.logprob);
}

ThinkingEnd TextStream::thinking_end(FinishReason reason) const {
  const ThinkingEnd forced = tokens_->thinking_end();
  if (forced != ThinkingEnd::kNone) return forced;
  if (!parser_.in_thought()) return setup_.thinking_budget == 0 ? ThinkingEnd::kBudget : ThinkingEnd::kNatural;
  switch (reason) {
    case FinishReason::kLength:
      return ThinkingEnd::kLength;
    case FinishReason::kDeadline:
      return ThinkingEnd::kDeadline;
    case FinishReason::kCancelled:
      return ThinkingEnd::kClient;
    default:
      return ThinkingEnd::kNatural;
  }
}

ReasoningDelta TextStream::parse(std::optional<TokenId> id, std::string text) {
  ReasoningDelta parsed = id ? parser_.push(*id, text) : parser_.push_text(text);
  if (setup_.separate_thought) return parsed;
  return {.reasoning = {}, .content = std::move(text)};  // the parser only counts
}

void TextStream::add(const ReasoningDelta& parsed, TextDelta& delta) {
  delta.reasoning += parsed.reasoning;
  completion_.reasoning += parsed.reasoning;
  if (!parsed.content.empty()) add_content(stops_.push(parsed.content), delta);
}

void TextStream::add_content(std::string content, TextDelta& delta) {
  delta.content += content;
  completion_.text += content;
}

void TextStream::finish(FinishReason reason, TextDelta& delta) {
  if (!stops_.matched()) {
    add(parse(std::nullopt, detokenizer_.flush()), delta);
    add_content(stops_.flush(), delta);
  }
  if (stops_.matched()) {
    reason = FinishReason::kStop;
    completion_.stop_string = stops_.matched_text();
  }
  completion_.finish_reason = reason;
  completion_.answered = !setup_.separate_thought || parser_.answered();
  completion_.usage.reasoning_tokens = parser_.reasoning_tokens();
  completion_.usage.cached_tokens = tokens_->cached_tokens();
  completion_.thinking_end = thinking_end(reason);
  completion_.thinking_budget = setup_.thinking_budget;
  completion_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - setup_.started).count();
  meter_.finished(completion_);
  const bool whole = reason == FinishReason::kStop || reason == FinishReason::kLength;
  if (whole && !completion_.cancelled) tokens_->complete(reason);
  tokens_.reset();
}

}  // namespace qwen
