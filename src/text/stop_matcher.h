// Stop strings over streamed text. Text is given out as soon as it cannot become part of a stop string any more.
// The stop that is complete first wins; of several completed by the same byte the one that begins first. So the result
// does not depend on how the text was cut into pieces. Time is linear in the text for each stop string
// (Knuth-Morris-Pratt).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

class StopMatcher {
 public:
  // Empty strings are ignored; indices in matched() count them.
  explicit StopMatcher(std::vector<std::string> stops);

  // Text that is now safe to give out: everything before a stop string, without the stop string itself. After a match
  // always empty.
  std::string push(std::string_view text);

  // The held-back rest, once no more text comes. Empty after a match.
  std::string flush();

  // Index of the stop string that matched.
  std::optional<size_t> matched() const { return matched_; }
  const std::string& matched_text() const { return patterns_[matched_pattern_].text; }  // only after a match

 private:
  struct Pattern {
    std::string text;
    std::vector<size_t> failure;  // length of the longest proper border of each prefix
    size_t index = 0;             // in the constructor's list
    size_t state = 0;             // bytes of `text` that end the input so far
  };

  std::vector<Pattern> patterns_;
  std::string held_;  // the input's tail that is a beginning of some stop string
  std::optional<size_t> matched_;
  size_t matched_pattern_ = 0;
};

}  // namespace qwen
