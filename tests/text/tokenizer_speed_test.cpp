// A megabyte that is one word, one run of spaces, … must not be an attack: naive merging takes minutes here. A
// quadratic step is off by orders of magnitude.
#include <gtest/gtest.h>

#include <ctime>

#include "text/model_folder.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMostSeconds = 20;
#else
constexpr double kMostSeconds = 1;
#endif

TEST(TokenizerSpeed, MegabytesOfTheWorstAreLinear) {
  const Tokenizer tokenizer = Tokenizer::load(testing::text_data(""));
  constexpr size_t kBytes = 1 << 20;
  const std::vector<std::pair<std::string, std::string>> texts = {{"letters", "a"},
                                                                  {"mixed letters", "thequickbrownfox"},
                                                                  {"Chinese", "啊"},
                                                                  {"spaces", " "},
                                                                  {"newlines", "\n"},
                                                                  {"digits", "7"},
                                                                  {"symbols", "="},
                                                                  {"marks", "\u0301\u0316"},
                                                                  {"Jamo", "\u1100\u1161\u11a8"},
                                                                  {"almost control tokens", "<|im_"},
                                                                  {"apostrophes", "'"},
                                                                  {"invalid bytes", "\xe4"}};
  for (const auto& [name, unit] : texts) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    const std::clock_t start = std::clock();
    const std::vector<TokenId> ids = tokenizer.encode(text);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, kMostSeconds) << name;
    EXPECT_FALSE(ids.empty()) << name;
  }
}

// Whether it is many pieces or one.
TEST(TokenizerSpeed, ATextThatIsMuchTooLongIsNotEncoded) {
  const Tokenizer tokenizer = Tokenizer::load(testing::text_data(""));
  for (const std::string unit : {"some words and ", "a", "<think>"}) {
    std::string text;
    while (text.size() < (4 << 20)) text += unit;
    const auto seconds = [&](const auto& encode) {
      const std::clock_t start = std::clock();
      encode();
      return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    };
    const double whole = seconds([&] { EXPECT_GT(tokenizer.encode(text).size(), 1000u); });
    EXPECT_LT(seconds([&] { EXPECT_FALSE(tokenizer.encode_at_most(text, 1000)); }), whole / 4) << unit;
  }
}

}  // namespace
}  // namespace qwen
