// Thought and answer: the bytes 1 and 2 are the tags, everything between is words. However the words are cut into
// tokens, the two texts are the same, and a thought never ends in a newline that was given out.
#include "fuzz.h"
#include "thinking/reasoning_parser.h"

namespace qwen::fuzz {
namespace {

constexpr TokenId kOpen = 1, kClose = 2, kWord = 3;

struct Outcome {
  std::string reasoning, content;
  bool in_thought = false, answered = false;
  int stray_tags = 0;
  bool operator==(const Outcome&) const = default;
};

// Gives the words to the parser whole, or cut; every other tag comes without its text.
Outcome parse(std::string_view text, bool starts_in_thought, Choices* cuts) {
  ReasoningParser parser({kOpen, kClose}, starts_in_thought);
  Outcome outcome;
  const auto take = [&](const ReasoningDelta& delta) {
    outcome.reasoning += delta.reasoning;
    outcome.content += delta.content;
    FUZZ_CHECK(!outcome.reasoning.ends_with('\n') && !outcome.reasoning.starts_with('\n') &&
               !outcome.content.starts_with('\n'));
  };
  while (!text.empty()) {
    const std::string_view words = text.substr(0, text.find_first_of("\x01\x02"));
    if (cuts == nullptr && !words.empty()) take(parser.push(kWord, words));
    if (cuts != nullptr)
      for (const std::string_view piece : cuts->cut(words)) take(parser.push(kWord, piece));
    text.remove_prefix(words.size());
    if (text.empty()) break;
    const bool opens = text[0] == kOpen, spelt = cuts != nullptr && cuts->coin();
    take(parser.push(opens ? kOpen : kClose, !spelt ? "" : opens ? "<think>" : "</think>"));
    text.remove_prefix(1);
  }
  outcome.in_thought = parser.in_thought();
  outcome.answered = parser.answered();
  outcome.stray_tags = parser.stray_tags();
  return outcome;
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qwen::fuzz;
  const std::string_view text = text_of(data, size);
  Choices choices(text);
  for (const bool starts_in_thought : {false, true})
    FUZZ_CHECK(parse(text, starts_in_thought, nullptr) == parse(text, starts_in_thought, &choices));
  return 0;
}
