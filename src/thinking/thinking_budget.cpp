// See thinking_budget.h.
#include "thinking/thinking_budget.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace qwen {
namespace {

constexpr int kMaxFinishing = 3;  // tokens that a split character may still need: it has at most four bytes
constexpr int kRateShare = 8;     // the newest token's share in the running mean of times is one of this many

bool has_visible_character(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") != std::string_view::npos;
}

}  // namespace

std::string_view thinking_end_name(ThinkingEnd end) {
  switch (end) {
    case ThinkingEnd::kBudget:
      return "budget";
    case ThinkingEnd::kDeadline:
      return "deadline";
    case ThinkingEnd::kLoop:
      return "loop";
    case ThinkingEnd::kClient:
      return "client";
    case ThinkingEnd::kLength:
      return "length";
    case ThinkingEnd::kNone:
    case ThinkingEnd::kNatural:
      break;
  }
  return "natural";
}

ThinkingBudget::ThinkingBudget(ThinkingVocabulary vocabulary, const ThinkingLimits& limits, bool starts_in_thought)
    : vocabulary_(std::move(vocabulary)),
      limits_(limits),
      state_(starts_in_thought ? State::kThought : State::kStart),
      barred_(vocabulary_.stop_tokens) {
  QWEN_CHECK(vocabulary_.tags.think_close && vocabulary_.bytes);
  barred_.push_back(*vocabulary_.tags.think_close);
  reopened_close_.push_back(*vocabulary_.tags.think_close);
  // The last one: where a first <think> is still welcome, it is left out.
  if (vocabulary_.tags.think_open) barred_.push_back(*vocabulary_.tags.think_open);
}

ThinkingBudget::Next ThinkingBudget::next(Clock::time_point now) {
  note_time(now);
  if (forced_.empty() && state_ == State::kThought) {
    const ThinkingEnd reason = reason_to_close(now);
    if (reason != ThinkingEnd::kNone) {
      if (!open_character_.empty() && finishing_ < kMaxFinishing)
        ++finishing_;
      else
        close(reason, now);
    }
  }
  if (!forced_.empty()) return {.forced = forced_.front()};
  if (!limits_.ensure_answer && forced_by_ == ThinkingEnd::kNone) return {};
  if (state_ == State::kThought) return {.stop_becomes = *vocabulary_.tags.think_close};
  if (answer_has_text_) return {};
  const bool may_open = state_ == State::kStart && limits_.budget != 0 && vocabulary_.tags.think_open;
  return {.barred = std::span(barred_).first(barred_.size() - (may_open ? 1 : 0))};
}

void ThinkingBudget::advance(TokenId id) {
  ++output_tokens_;
  if (!forced_.empty()) forced_ = forced_.subspan(1);
  if (vocabulary_.tags.think_open && id == *vocabulary_.tags.think_open) {
    if (state_ != State::kThought) {
      loop_guard_ = LoopGuard();
      looped_ = false;
    }
    state_ = State::kThought;
    open_character_.clear();
  } else if (id == *vocabulary_.tags.think_close) {
    state_ = State::kAnswer;
    open_character_.clear();
    finishing_ = 0;
  } else {
    if (state_ == State::kStart) state_ = State::kAnswer;
    take_text(id);
  }
}

void ThinkingBudget::take_text(TokenId id) {
  const std::string_view bytes = vocabulary_.bytes(id);
  if (state_ == State::kAnswer) {
    answer_has_text_ = answer_has_text_ || has_visible_character(bytes);
    return;
  }
  ++thought_tokens_;
  open_character_ += bytes;
  open_character_.erase(0, utf8_complete_prefix(open_character_));
  if (limits_.loop_guard) looped_ = loop_guard_.push(id);
}

void ThinkingBudget::note_time(Clock::time_point now) {
  if (!begun_) begun_ = now;
  if (last_ && output_tokens_ > 0) {
    const Clock::duration newest = now - *last_;
    recent_ = output_tokens_ == 1 ? newest : recent_ + (newest - recent_) / kRateShare;
  }
  last_ = now;
}

// The reasons that depend on tokens alone come first, so that a clock changes nothing where one of them holds.
ThinkingEnd ThinkingBudget::reason_to_close(Clock::time_point now) const {
  if (forced_by_ != ThinkingEnd::kNone) return forced_by_;
  if (limits_.budget >= 0 && thought_tokens_ >= limits_.budget) return ThinkingEnd::kBudget;
  if (looped_) return ThinkingEnd::kLoop;
  if (limits_.ensure_answer && limits_.max_tokens > 0) {
    const int least = limits_.answer_reserve + static_cast<int>(vocabulary_.short_closing.size());
    const int wanted = limits_.answer_reserve + static_cast<int>(vocabulary_.closing.size());
    const int needed = wanted < limits_.max_tokens ? wanted : least;
    if (needed < limits_.max_tokens && output_tokens_ + needed >= limits_.max_tokens) return ThinkingEnd::kLength;
  }
  if (asked_) return ThinkingEnd::kClient;
  if (limits_.time && now - *begun_ >= *limits_.time) return ThinkingEnd::kDeadline;
  return too_late(now) ? ThinkingEnd::kDeadline : ThinkingEnd::kNone;
}

// Closing and answer, at this request's own pace, would not be done by the deadline. At most half of the time is kept
// for them, so that a tight deadline leaves some for the thought.
bool ThinkingBudget::too_late(Clock::time_point now) const {
  if (!limits_.deadline || output_tokens_ == 0) return false;
  using Seconds = std::chrono::duration<double>;
  const Seconds pace = std::max(recent_, (now - *begun_) / output_tokens_);
  const Seconds needed = pace * (static_cast<double>(vocabulary_.closing.size()) + limits_.answer_reserve);
  return std::min(needed, Seconds(*limits_.deadline - *begun_) / 2) >= Seconds(*limits_.deadline - now);
}

bool ThinkingBudget::sentence_fits(Clock::time_point now) const {
  const auto size = static_cast<int>(vocabulary_.closing.size());
  if (limits_.max_tokens > 0 && output_tokens_ + size + std::min(limits_.answer_reserve, size) > limits_.max_tokens)
    return false;
  if (limits_.deadline && recent_ * size > (*limits_.deadline - now) / 2) return false;
  // Tokens spent on a split character count against the closing, of which the tag and what follows it are no thought.
  const auto tag = std::find(vocabulary_.closing.begin(), vocabulary_.closing.end(), *vocabulary_.tags.think_close);
  return finishing_ <= vocabulary_.closing.end() - tag;
}

void ThinkingBudget::close(ThinkingEnd reason, Clock::time_point now) {
  if (forced_by_ != ThinkingEnd::kNone)
    forced_ = reopened_close_;
  else
    forced_ = sentence_fits(now) ? vocabulary_.closing : vocabulary_.short_closing;
  forced_by_ = reason;
}

}  // namespace qwen
