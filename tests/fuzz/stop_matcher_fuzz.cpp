// Stop strings (the lines of the first part) over the second part's text, however it is cut: the same text and the same
// stop as by the definition, and nothing given out before the end that belongs to a stop string.
#include "fuzz.h"
#include "text/stop_matcher.h"

namespace qwen::fuzz {
namespace {

struct Outcome {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Outcome&) const = default;
};

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> result(1);
  for (const char c : text) {
    if (c == '\n')
      result.emplace_back();
    else
      result.back() += c;
  }
  return result;
}

Outcome by_definition(const std::vector<std::string>& stops, std::string_view text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> longest;
    for (size_t i = 0; i < stops.size(); ++i)
      if (!stops[i].empty() && text.substr(0, end).ends_with(stops[i]) &&
          (!longest || stops[i].size() > stops[*longest].size()))
        longest = i;
    if (longest) return {std::string(text.substr(0, end - stops[*longest].size())), longest};
  }
  return {std::string(text), std::nullopt};
}

void check_stops(std::string_view input) {
  const auto sections = parts(input, 2);
  const std::vector<std::string> stops = lines(sections[0].substr(0, 200));
  const Outcome expected = by_definition(stops, sections[1]);
  StopMatcher matcher(stops);
  Outcome outcome;
  for (const std::string_view piece : Choices(input).cut(sections[1])) {
    outcome.text += matcher.push(piece);
    FUZZ_CHECK(expected.text.starts_with(outcome.text));
  }
  outcome.text += matcher.flush();
  outcome.stop = matcher.matched();
  FUZZ_CHECK(outcome == expected);
  if (outcome.stop) FUZZ_CHECK(matcher.matched_text() == stops[*outcome.stop]);
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check_stops(qwen::fuzz::text_of(data, size));
  return 0;
}
