#include "commands/token_sequences.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "backend/create.h"
#include "model/registry.h"
#include "support/fake_model.h"
#include "support/tiny_checkpoint.h"

namespace qwen {
namespace {

TEST(TokenSequences, CutOneAfterTheOther) {
  std::vector<TokenId> ids(25);
  std::iota(ids.begin(), ids.end(), 0);
  const TokenSequences all = cut_sequences(ids, 10, 8);
  ASSERT_EQ(all.size(), 3u);  // the 25th id alone predicts nothing
  EXPECT_EQ(all[0].front(), 0);
  EXPECT_EQ(all[2], (std::vector<TokenId>{16, 17, 18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(cut_sequences(ids, 1, 8).size(), 1u);
  EXPECT_EQ(cut_sequences(ids, 5, 100)[0].size(), 25u);
  EXPECT_TRUE(cut_sequences(std::span(ids).first(1), 5, 8).empty());
}

TEST(TokenSequences, RandomOnesFillTheVocabularyAndAreAFunctionOfTheSeed) {
  const TokenSequences sequences = random_sequences(10, 3, 100, 7);
  ASSERT_EQ(sequences.size(), 3u);
  std::set<TokenId> seen;
  for (const auto& sequence : sequences) {
    EXPECT_EQ(sequence.size(), 100u);
    seen.insert(sequence.begin(), sequence.end());
  }
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(sequences, random_sequences(10, 3, 100, 7));
  EXPECT_NE(sequences, random_sequences(10, 3, 100, 8));
  EXPECT_NE(sequences[0], sequences[1]);
}

TEST(TokenSequences, NeighbouringSeedsShareNothing) {
  std::set<std::vector<TokenId>> all;
  size_t count = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    for (const auto& sequence : random_sequences(1000, 8, 20, seed)) all.insert(sequence), ++count;
  }
  EXPECT_EQ(all.size(), count);
}

// A model that is sure of its next token leaves nothing to the draw.
TEST(TokenSequences, SampledOnesBeginWithThePromptAndFollowTheModel) {
  FakeModel model;
  model.control()->set_next([](std::span<const TokenId> context) { return (context.back() + 1) % 64; });
  const std::vector<TokenId> prompt = {5, 6};
  const TokenSequences sequences = sample_sequences(model, prompt, 64, 2, 12, 1);
  ASSERT_EQ(sequences.size(), 2u);
  for (const auto& sequence : sequences) {
    EXPECT_EQ(sequence, (std::vector<TokenId>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}));
  }
  const TokenSequences bounded = sample_sequences(model, prompt, 8, 1, 12, 1);
  for (const TokenId id : bounded[0]) EXPECT_LT(id, 8);
}

TEST(TokenSequences, DialoguesTakeTurns) {
  FakeModel model;
  model.control()->set_next([](std::span<const TokenId> context) { return (context.back() + 1) % 64; });
  const DialogueTokens dialogue{
      .user = {20, 0}, .assistant = {30, 1, 1}, .next_user = {21, 5}, .ends = {3}, .stops = {7}};
  const TokenSequences sequences = sample_dialogues(model, dialogue, 64, 2, 16, 1);
  ASSERT_EQ(sequences.size(), 2u);
  for (const auto& sequence : sequences)
    EXPECT_EQ(sequence, (std::vector<TokenId>{20, 0, 1, 2, 3, 30, 1, 1, 2, 3, 21, 5, 6, 7, 20, 0}));
}

TEST(TokenSequences, DialoguesAreTheSameHoweverTheyAreCut) {
  const TinyCheckpoint folder;  // sure of nothing
  const auto model = load_model(Checkpoint::open(folder.folder()), ModelConfig::load(folder.folder()),
                                create_backend({.kernels = "reference"}), {16, 4, 16});
  const DialogueTokens dialogue{.user = {20}};
  const auto sample = [&](int count, size_t first) {
    return sample_dialogues(*model, dialogue, 64, count, 12, 1, first);
  };
  int calls = 0;
  const TokenSequences all = sample_dialogues(*model, dialogue, 64, 4, 12, 1, 0, [&] { ++calls; });
  EXPECT_EQ(calls, 12);
  const TokenSequences one = sample(1, 0), rest = sample(3, 1);
  EXPECT_EQ(all[0], one[0]);
  EXPECT_NE(all[0], all[1]);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(all[i + 1], rest[i]);
}

}  // namespace
}  // namespace qwen
