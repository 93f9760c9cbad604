#include "text/nfc.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

std::string nfc(std::string_view text) {
  std::string storage;
  return std::string(to_nfc(text, storage));
}

TEST(Nfc, NormalTextIsNotCopied) {
  for (const std::string_view text : {"", "plain ASCII", "\u4f60\u597d caf\u00e9 \U0001f600 \uac00"}) {
    std::string storage;
    EXPECT_EQ(to_nfc(text, storage).data(), text.data());
  }
}

TEST(Nfc, Composes) {
  EXPECT_EQ(nfc("cafe\u0301 cafe\u0301!"), "caf\u00e9 caf\u00e9!");
  EXPECT_EQ(nfc("\u0301e"), "\u0301e");
  EXPECT_EQ(nfc("e\u0323\u0302"), "\u1ec7");
  EXPECT_EQ(nfc("e\u0302\u0323"), "\u1ec7");  // reordered first
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(nfc("\ud558\u11ab"), "\ud55c");
  EXPECT_EQ(nfc("\u304b\u3099"), "\u304c");
  EXPECT_EQ(nfc("<\u0338"), "\u226e");
}

TEST(Nfc, ReplacesSingletonsAndExclusions) {
  EXPECT_EQ(nfc("\u212b\u2126"), "\u00c5\u03a9");
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");
  EXPECT_EQ(nfc("x\uf900y"), "x\u8c48y");
  EXPECT_EQ(nfc("\ufb01"), "\ufb01");  // compatibility only
}

TEST(Nfc, OrdersMarksStably) {
  EXPECT_EQ(nfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(nfc("q\u0301\u0300"), "q\u0301\u0300");
  // Marks that came after Unicode 9.0 have no class in the reference and stop the ordering.
  EXPECT_EQ(nfc("q\u0301\U00010f4e\u0316"), "q\u0301\U00010f4e\u0316");
}

TEST(Nfc, LongRunsOfMarksAreLinear) {
  std::string text = "q";
  for (int i = 0; i < 250000; ++i) text += "\u0301\u0316";
  const std::string normal = nfc(text);
  ASSERT_EQ(normal.size(), text.size());
  EXPECT_EQ(normal.substr(0, 5), "q\u0316\u0316");
  EXPECT_EQ(normal.substr(normal.size() - 2), "\u0301");
}

TEST(Nfc, IsIdempotent) {
  const std::string once = nfc("a\u0345\u0301\u0334\u1161 \u1100\u1161\u11a8\u11a8 \u0344 \u2adc");
  EXPECT_EQ(nfc(once), once);
}

}  // namespace
}  // namespace qwen
