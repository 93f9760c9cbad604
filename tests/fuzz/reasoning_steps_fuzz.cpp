// The steps of a thought, from any bytes: few, short, one line of valid UTF-8 each.
#include "fuzz.h"
#include "thinking/reasoning_steps.h"

namespace qwen::fuzz {
namespace {

size_t characters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(static_cast<size_t>(utf8_decode(text).length));
  return count;
}

void check_steps(std::string_view thought) {
  const std::vector<std::string> steps = reasoning_steps(thought);
  FUZZ_CHECK(steps.size() <= kMaxReasoningSteps);
  for (const std::string& step : steps) {
    FUZZ_CHECK(!step.empty() && utf8_valid(step));
    FUZZ_CHECK(characters(step) <= kMaxStepCharacters + (step.ends_with("…") ? 1 : 0));
    FUZZ_CHECK(step.find_first_of("\r\n") == std::string::npos);
  }
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwen::fuzz::check_steps(qwen::fuzz::text_of(data, size));
  return 0;
}
