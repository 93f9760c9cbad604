#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace qwen {
namespace {

std::vector<size_t> failure_table(const std::string& text) {
  std::vector<size_t> border(text.size(), 0);
  for (size_t i = 1, k = 0; i < text.size(); ++i) {
    while (k > 0 && text[i] != text[k]) k = border[k - 1];
    if (text[i] == text[k]) ++k;
    border[i] = k;
  }
  return border;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].empty()) continue;
    std::vector<size_t> failure = failure_table(stops[i]);
    patterns_.push_back({std::move(stops[i]), std::move(failure), i, 0});
  }
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return {};
  if (patterns_.empty()) return std::string(text);
  held_ += text;
  for (size_t at = held_.size() - text.size(); at < held_.size(); ++at) {
    const Pattern* longest = nullptr;
    for (Pattern& pattern : patterns_) {
      while (pattern.state > 0 && pattern.text[pattern.state] != held_[at])
        pattern.state = pattern.failure[pattern.state - 1];
      if (pattern.text[pattern.state] == held_[at]) ++pattern.state;
      const bool complete = pattern.state == pattern.text.size();
      if (complete && (longest == nullptr || pattern.text.size() > longest->text.size())) longest = &pattern;
    }
    if (longest == nullptr) continue;
    matched_ = longest->index;
    matched_pattern_ = static_cast<size_t>(longest - patterns_.data());
    std::string safe = held_.substr(0, at + 1 - longest->text.size());
    held_.clear();
    return safe;
  }
  size_t hold = 0;
  for (const Pattern& pattern : patterns_) hold = std::max(hold, pattern.state);
  std::string safe = held_.substr(0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
  return safe;
}

std::string StopMatcher::flush() {
  for (Pattern& pattern : patterns_) pattern.state = 0;
  return std::exchange(held_, {});
}

}  // namespace qwen
