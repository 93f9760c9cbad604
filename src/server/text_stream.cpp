#include "server/text_stream.h"

#include "text/tokenizer.h"

namespace qwen {

TextStream::TextStream(Setup setup, TokenStream tokens)
    : setup_(std::move(setup)),
      tokens_(std::move(tokens)),
      detokenizer_(*setup_.tokenizer),
      parser_(setup_.reasoning_tokens, setup_.starts_in_thought),
      stops_(setup_.stop) {
  completion_.usage.prompt_tokens = tokens_->prompt_tokens();
}

std::optional<TextDelta> TextStream::poll() {
  TextDelta delta;
  while (!finished()) {
    const std::optional<TokenEvent> event = tokens_->poll();
    if (!event) break;
    take(*event, delta);
  }
  if (delta.empty()) return std::nullopt;
  return delta;
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
  return delta;
}

void TextStream::take(const TokenEvent& event, TextDelta& delta) {
  if (event.id >= 0) {
    ++completion_.usage.completion_tokens;
    add(parse(event.id, detokenizer_.push(event.id)), delta);
    if (stops_.matched()) return finish(FinishReason::kStop, delta);
  }
  if (event.finish_reason == FinishReason::kNone) return;
  completion_.error = event.error;
  finish(event.finish_reason, delta);
}

ReasoningDelta TextStream::parse(std::optional<TokenId> id, std::string text) {
  if (!setup_.separate_thought) return {.reasoning = {}, .content = std::move(text)};
  return id ? parser_.push(*id, text) : parser_.push_text(text);
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
  completion_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - setup_.started).count();
  tokens_.reset();
}

}  // namespace qwen
