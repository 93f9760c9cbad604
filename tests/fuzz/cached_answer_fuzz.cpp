// An answer's envelope as Redis gives it: the input as it stands, and signed anew, as it would be if its writer had
// meant it. What is accepted is an answer that this service could have stored, and encodes to the same bytes.
#include "fuzz.h"
#include "server/cache/cached_answer.h"

namespace qwen::fuzz {
namespace {

constexpr std::string_view kKey = "key";
constexpr int kVocabSize = 1000, kPromptTokens = 7;

void check(std::string_view bytes) {
  const CachedAnswerPtr answer = decode_answer(bytes, kKey, kVocabSize, kPromptTokens);
  if (!answer) return;
  FUZZ_CHECK(!answer->tokens.empty() && answer->tokens.size() <= kMaxCachedTokens);
  FUZZ_CHECK(answer->prompt_tokens == kPromptTokens);
  for (size_t i = 0; i < answer->num_events(); ++i) {
    const TokenEvent event = answer->event(i);
    const bool last = i + 1 == answer->num_events();
    FUZZ_CHECK(event.id < kVocabSize && (event.id >= 0 || last));
    FUZZ_CHECK((event.finish_reason != FinishReason::kNone) == last);
  }
  FUZZ_CHECK(encode_answer(*answer, kKey) == bytes);
}

std::string signed_anew(std::string_view bytes) {
  std::string result(bytes);
  const uint64_t digest = xxh64(bytes);
  for (int shift = 0; shift < 64; shift += 8) result.push_back(static_cast<char>(digest >> shift));
  return result;
}

}  // namespace
}  // namespace qwen::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = qwen::fuzz::text_of(data, size);
  qwen::fuzz::check(bytes);
  qwen::fuzz::check(qwen::fuzz::signed_anew(bytes));
  return 0;
}
