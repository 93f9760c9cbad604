#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace qwen {
namespace {

using Ids = std::vector<TokenId>;

// Single bytes have their own value as id.
std::array<TokenId, 256> byte_ids() {
  std::array<TokenId, 256> ids;
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i);
  return ids;
}

// The definition: join the leftmost pair of lowest rank until there is none.
Ids merge_naively(const std::string& piece, const std::map<std::pair<TokenId, TokenId>, size_t>& ranks) {
  Ids ids;
  for (const char c : piece) ids.push_back(static_cast<unsigned char>(c));
  for (;;) {
    size_t best = ids.size(), best_rank = ranks.size();
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found != ranks.end() && found->second < best_rank) best = i, best_rank = found->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = static_cast<TokenId>(256 + best_rank);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, AgreesWithTheDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 40; ++round) {
    const int letters = 1 + static_cast<int>(random() % 3);
    BpeMerges merges(byte_ids(), 0);
    std::map<std::pair<TokenId, TokenId>, size_t> ranks;
    const auto any_token = [&] {
      const size_t pick = random() % (static_cast<size_t>(letters) + ranks.size());
      return static_cast<TokenId>(pick < static_cast<size_t>(letters) ? 'a' + pick
                                                                      : 256 + pick - static_cast<size_t>(letters));
    };
    for (int i = 0; i < 30; ++i) {
      const TokenId left = any_token(), right = any_token();
      const bool is_new = ranks.try_emplace({left, right}, ranks.size()).second;
      EXPECT_EQ(merges.add(left, right, static_cast<TokenId>(256 + merges.size())), is_new);
    }
    EXPECT_EQ(merges.size(), ranks.size());
    for (const size_t length : {0, 1, 2, 3, 7, 20, 47, 48, 49, 50, 120, 400}) {
      std::string piece;
      for (size_t i = 0; i < length; ++i) piece += static_cast<char>('a' + random() % static_cast<size_t>(letters));
      Ids ids = {-7};  // encode appends
      merges.encode(piece, ids);
      Ids expected = merge_naively(piece, ranks);
      expected.insert(expected.begin(), -7);
      EXPECT_EQ(ids, expected) << piece;
    }
  }
}

TEST(Bpe, AllByteValues) {
  const BpeMerges merges(byte_ids(), 0);
  std::string piece;
  Ids expected, ids;
  for (int i = 0; i < 256; ++i) piece += static_cast<char>(i), expected.push_back(i);
  merges.encode(piece, ids);
  EXPECT_EQ(ids, expected);
}

}  // namespace
}  // namespace qwen
