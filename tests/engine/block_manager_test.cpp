// Reference counts of KV blocks.
#include "engine/block_manager.h"

#include <gtest/gtest.h>

#include <set>

namespace qwen {
namespace {

Sequence make_sequence(RequestId id, int prompt_tokens) {
  return Sequence(id, std::vector<TokenId>(static_cast<size_t>(prompt_tokens), 1), SamplingParams{}, 1 << 20);
}

TEST(BlockManager, AllocatesWhatTheTokensNeed) {
  BlockManager blocks(8, 16);
  Sequence sequence = make_sequence(1, 40);
  ASSERT_TRUE(blocks.allocate(sequence, 32));
  EXPECT_EQ(sequence.block_table.size(), 2u);
  ASSERT_TRUE(blocks.allocate(sequence, 33));
  EXPECT_EQ(sequence.block_table.size(), 3u);
  ASSERT_TRUE(blocks.allocate(sequence, 10));
  EXPECT_EQ(sequence.block_table.size(), 3u);
  EXPECT_EQ(blocks.num_free_blocks(), 5);
}

TEST(BlockManager, AllOrNothing) {
  BlockManager blocks(4, 16);
  Sequence first = make_sequence(1, 40), second = make_sequence(2, 40);
  ASSERT_TRUE(blocks.allocate(first, 48));
  EXPECT_FALSE(blocks.allocate(second, 17));
  EXPECT_TRUE(second.block_table.empty());
  EXPECT_EQ(blocks.num_free_blocks(), 1);
}

TEST(BlockManager, NoBlockHasTwoOwners) {
  BlockManager blocks(6, 16);
  Sequence first = make_sequence(1, 40), second = make_sequence(2, 40);
  ASSERT_TRUE(blocks.allocate(first, 48));
  ASSERT_TRUE(blocks.allocate(second, 48));
  std::set<int32_t> owned(first.block_table.begin(), first.block_table.end());
  owned.insert(second.block_table.begin(), second.block_table.end());
  EXPECT_EQ(owned.size(), 6u);
  for (const int32_t block : owned) EXPECT_EQ(blocks.ref_count(block), 1);
}

TEST(BlockManager, FreedBlocksComeBackAndAreUsedFirst) {
  BlockManager blocks(8, 16);
  Sequence first = make_sequence(1, 40), second = make_sequence(2, 40);
  ASSERT_TRUE(blocks.allocate(first, 48));
  const std::vector<int32_t> before = first.block_table;
  blocks.free(first);
  EXPECT_TRUE(first.block_table.empty());
  EXPECT_EQ(blocks.num_free_blocks(), 8);
  ASSERT_TRUE(blocks.allocate(second, 48));
  EXPECT_EQ(second.block_table, before);
}

}  // namespace
}  // namespace qwen
