#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "text/model_folder.h"
#include "text/tokenizer.h"

namespace qwen {
namespace {

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::load(testing::text_data(""));
  return tokenizer;
}

TokenId byte_token(unsigned char byte) {
  for (TokenId id = 0; id < small_tokenizer().vocab_size(); ++id)
    if (small_tokenizer().token_bytes(id) == std::string_view(reinterpret_cast<const char*>(&byte), 1)) return id;
  return -1;
}

TEST(Detokenizer, HoldsHalfCharactersBack) {
  Detokenizer detokenizer(small_tokenizer());
  EXPECT_EQ(detokenizer.push(byte_token('a')), "a");
  EXPECT_EQ(detokenizer.push(byte_token(0xf0)), "");
  EXPECT_EQ(detokenizer.push(byte_token(0x9f)), "");
  EXPECT_EQ(detokenizer.push(byte_token(0x98)), "");
  EXPECT_EQ(detokenizer.push(byte_token(0x80)), "\U0001f600");
  EXPECT_EQ(detokenizer.push(byte_token(0xe4)), "");
  EXPECT_EQ(detokenizer.push(byte_token('b')), "\uFFFDb");
  EXPECT_EQ(detokenizer.push(byte_token(0x80)), "\uFFFD");
  EXPECT_EQ(detokenizer.push(byte_token(0xe4)), "");
  EXPECT_EQ(detokenizer.push(byte_token(0xbd)), "");
  EXPECT_EQ(detokenizer.flush(), "\uFFFD");
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, SkipsSpecialTokensOnly) {
  const TokenId end = *small_tokenizer().token_id("<|im_end|>"), think = *small_tokenizer().token_id("<think>");
  Detokenizer skipping(small_tokenizer()), keeping(small_tokenizer(), false);
  EXPECT_EQ(skipping.push(end), "");
  EXPECT_EQ(keeping.push(end), "<|im_end|>");
  EXPECT_EQ(skipping.push(think), "<think>");
  EXPECT_EQ(skipping.push(100000), "");
}

TEST(Detokenizer, PiecesJoinToTheDecodedText) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    const bool skip_special = round % 2 == 0;
    std::vector<TokenId> ids;
    for (int i = 0; i < 30; ++i) ids.push_back(static_cast<TokenId>(random() % 515));
    Detokenizer detokenizer(small_tokenizer(), skip_special);
    std::string joined;
    for (const TokenId id : ids) {
      const std::string piece = detokenizer.push(id);
      EXPECT_TRUE(utf8_valid(piece));
      joined += piece;
    }
    joined += detokenizer.flush();
    EXPECT_EQ(joined, small_tokenizer().decode(ids, skip_special));
  }
}

}  // namespace
}  // namespace qwen
