// Each sampling parameter exactly, and the distribution of draws.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace qwen {
namespace {

class FixedMask : public TokenConstraint {
 public:
  explicit FixedMask(TokenMask mask) : mask_(mask) {}
  TokenMask mask() override { return mask_; }
  void advance(TokenId) override {}

 private:
  TokenMask mask_;
};

Sequence make_sequence(const SamplingParams& sampling, std::vector<TokenId> prompt = {0},
                       std::unique_ptr<TokenConstraint> constraint = nullptr) {
  return Sequence(1, std::move(prompt), sampling, 100000, std::move(constraint));
}

// Shares of `draws` draws at different positions.
std::map<TokenId, double> shares(const std::vector<float>& logits, SamplingParams sampling, int draws = 4000) {
  Sampler sampler(static_cast<int>(logits.size()));
  std::map<TokenId, double> result;
  for (int i = 0; i < draws; ++i) {
    sampling.seed = static_cast<uint64_t>(i);
    const SampledToken token = sampler.sample(logits, make_sequence(sampling));
    EXPECT_EQ(token.error, "");
    result[token.id] += 1.0 / draws;
  }
  return result;
}

std::set<TokenId> support(const std::vector<float>& logits, const SamplingParams& sampling) {
  std::set<TokenId> ids;
  for (const auto& [id, share] : shares(logits, sampling)) ids.insert(id);
  return ids;
}

TokenId greedy(const std::vector<float>& logits, SamplingParams sampling = {}, std::vector<TokenId> prompt = {0}) {
  sampling.temperature = 0;
  Sampler sampler(static_cast<int>(logits.size()));
  return sampler.sample(logits, make_sequence(sampling, std::move(prompt))).id;
}

const std::vector<float> kHalves = {std::log(0.5f), std::log(0.25f), std::log(0.125f), std::log(0.125f)};

SampledToken masked(TokenMask mask, SamplingParams sampling = {}) {
  sampling.temperature = 0;
  return Sampler(4).sample(std::vector<float>{1, 3, 2, 0},
                           make_sequence(sampling, {0}, std::make_unique<FixedMask>(mask)));
}

TEST(Sampler, BarredTokensAreNotChosen) {
  const std::vector<TokenId> barred = {1, 2, 77};
  EXPECT_EQ(masked({.barred = barred}).id, 0);
  const std::vector<TokenId> all = {0, 1, 2, 3};
  EXPECT_NE(masked({.barred = all}).error, "");
}

TEST(Sampler, AStopTokenMayBecomeAnother) {
  SamplingParams sampling;
  EXPECT_EQ(masked({.stop_becomes = 3}, sampling).id, 1);
  sampling.stop_token_ids = {1};
  const SampledToken token = masked({.stop_becomes = 3}, sampling);
  EXPECT_EQ(token.id, 3);
  EXPECT_LT(token.logprob, -3.0f);  // of the token that stands there
}

TEST(Sampler, GreedyTakesTheLowestIdOnATie) { EXPECT_EQ(greedy({1, 3, 2, 3}), 1); }

TEST(Sampler, LogprobIsOfTheUnfilteredModel) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.logit_bias = {{2, 50.0f}};
  Sampler sampler(4);
  const SampledToken token = sampler.sample(kHalves, make_sequence(sampling));
  EXPECT_EQ(token.id, 2);
  EXPECT_NEAR(token.logprob, std::log(0.125), 1e-6);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  constexpr int kDraws = 8000;
  for (const int top_k : {0, 4, 3}) {
    SamplingParams sampling;
    sampling.top_k = top_k;
    const double kept = top_k == 3 ? 0.875 : 1;
    const std::array<double, 4> expected = {0.5 / kept, 0.25 / kept, 0.125 / kept, top_k == 3 ? 0 : 0.125};
    auto drawn = shares(kHalves, sampling, kDraws);
    double chi_square = 0;
    for (TokenId id = 0; id < 4; ++id) {
      const double p = expected[static_cast<size_t>(id)];
      if (p == 0) {
        EXPECT_EQ(drawn.count(id), 0u);
      } else {
        chi_square += kDraws * (drawn[id] - p) * (drawn[id] - p) / p;
      }
    }
    EXPECT_LT(chi_square, 16.3) << "top_k " << top_k;  // 3 degrees of freedom, p = 0.001
  }
}

TEST(Sampler, TemperatureSharpens) {
  SamplingParams sampling;
  sampling.temperature = 0.5f;  // squares the probabilities: 16, 4, 1, 1 of 22
  const auto drawn = shares(kHalves, sampling);
  EXPECT_NEAR(drawn.at(0), 16.0 / 22, 0.03);
  EXPECT_NEAR(drawn.at(1), 4.0 / 22, 0.03);
  sampling.temperature = 1e-30f;
  EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0}));
}

TEST(Sampler, TopKKeepsTheFirstAndBreaksTiesById) {
  SamplingParams sampling;
  sampling.top_k = 3;
  EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0, 1, 2}));
  sampling.top_k = 1;
  EXPECT_EQ(support({1, 5, 5}, sampling), (std::set<TokenId>{1}));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  SamplingParams sampling;
  for (const int top_k : {0, 3}) {  // both code paths
    sampling.top_k = top_k;
    sampling.top_p = 0.45f;
    EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0}));
    sampling.top_p = 0.6f;
    EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0, 1}));
    sampling.top_p = 1e-6f;
    EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0}));
  }
  sampling.top_k = 0;
  sampling.top_p = 0.8f;
  EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0, 1, 2})) << "a tie goes to the lower id";
}

TEST(Sampler, TopPCountsWhatTopKLeft) {
  SamplingParams sampling;
  sampling.top_k = 2;      // renormalised: 2/3, 1/3
  sampling.top_p = 0.65f;  // of all tokens, 0.5 would not reach it
  EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0}));
}

TEST(Sampler, MinPDropsTheUnlikely) {
  SamplingParams sampling;
  for (const int top_k : {0, 3}) {
    sampling.top_k = top_k;
    sampling.min_p = 0.4f;
    EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0, 1}));
    sampling.min_p = 1.0f;
    EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0}));
  }
}

TEST(Sampler, MinPComesAfterTemperature) {
  SamplingParams sampling;
  sampling.min_p = 0.4f;
  sampling.temperature = 2.0f;  // ratios 1, 0.71, 0.5, 0.5
  EXPECT_EQ(support(kHalves, sampling), (std::set<TokenId>{0, 1, 2, 3}));
}

TEST(Sampler, RepetitionPenaltyLooksAtPromptAndOutput) {
  SamplingParams sampling;
  sampling.repetition_penalty = 2;
  EXPECT_EQ(greedy({4, 3, 1}, sampling, {0}), 1);        // 4 / 2 < 3
  EXPECT_EQ(greedy({-1, -1.5f, -9}, sampling, {0}), 1);  // -1 · 2 < -1.5
  EXPECT_EQ(greedy({4, 3, 1}, sampling, {0, 0, 0}), 1);  // once, however often it occurs
  EXPECT_EQ(greedy({4, 1.9f, 1}, sampling, {0}), 0);     // 4 / 2 > 1.9
}

TEST(Sampler, PresenceAndFrequencyLookAtTheOutputOnly) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.presence_penalty = 1.0f;
  Sampler sampler(3);
  const std::vector<float> logits = {4, 3.5f, 2};
  Sequence sequence = make_sequence(sampling, {0, 0});
  EXPECT_EQ(sampler.sample(logits, sequence).id, 0);
  sequence.append(0);
  sequence.append(0);
  EXPECT_EQ(sampler.sample(logits, sequence).id, 1) << "4 - 1 < 3.5";

  sampling.presence_penalty = 0;
  sampling.frequency_penalty = 0.3f;
  Sequence frequent = make_sequence(sampling, {0, 0});
  frequent.append(0);
  EXPECT_EQ(sampler.sample(logits, frequent).id, 0) << "4 - 0.3 > 3.5";
  frequent.append(0);
  EXPECT_EQ(sampler.sample(logits, frequent).id, 1) << "4 - 0.6 < 3.5";
}

TEST(Sampler, LogitBiasComesBeforePenalties) {
  SamplingParams sampling;
  sampling.logit_bias = {{2, 3.0f}};
  EXPECT_EQ(greedy({4, 3, 2}, sampling), 2);
  sampling.repetition_penalty = 2;
  EXPECT_EQ(greedy({4, 3, 2}, sampling, {2}), 0) << "(2 + 3) / 2 < 4";
}

TEST(Sampler, MinTokensBarsStopTokens) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.stop_token_ids = {0, 77};
  sampling.min_tokens = 2;
  Sampler sampler(3);
  const std::vector<float> logits = {4, 3, 2};
  Sequence sequence = make_sequence(sampling);
  EXPECT_EQ(sampler.sample(logits, sequence).id, 1);
  sequence.append(1);
  EXPECT_EQ(sampler.sample(logits, sequence).id, 1);
  sequence.append(1);
  EXPECT_EQ(sampler.sample(logits, sequence).id, 0);
}

TEST(Sampler, ForcedTokenWinsOverEverything) {
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.logit_bias = {{3, -100.0f}};
  const TokenMask mask{3, {}};
  Sampler sampler(4);
  const SampledToken token = sampler.sample(kHalves, make_sequence(sampling, {0}, std::make_unique<FixedMask>(mask)));
  EXPECT_EQ(token.id, 3);
  EXPECT_NEAR(token.logprob, std::log(0.125), 1e-6);
}

TEST(Sampler, MaskBarsTokensEverywhereInTheVocabulary) {
  std::vector<float> logits(200, 0.0f);
  logits[5] = 9;
  logits[199] = 5;
  logits[130] = 4;
  SamplingParams sampling;
  sampling.temperature = 0;
  Sampler sampler(200);
  std::array<uint64_t, 4> allowed = {0, ~uint64_t{0}, uint64_t{1} << 2, uint64_t{1} << 7};
  const auto sample = [&](std::span<const uint64_t> words) {
    return sampler.sample(logits, make_sequence(sampling, {0}, std::make_unique<FixedMask>(TokenMask{-1, words})));
  };
  EXPECT_EQ(sample(allowed).id, 199);
  EXPECT_EQ(sample(std::span(allowed).first(3)).id, 130) << "a short bitmap bars what it does not cover";
  allowed = {};
  EXPECT_NE(sample(allowed).error, "");
}

TEST(Sampler, PaddingIdsAreNeverSampled) {
  Sampler sampler(2);
  SamplingParams sampling;
  const std::vector<float> logits = {0, 0, 50, std::numeric_limits<float>::quiet_NaN()};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    sampling.seed = seed;
    const SampledToken token = sampler.sample(logits, make_sequence(sampling));
    EXPECT_LT(token.id, 2);
    EXPECT_NEAR(token.logprob, std::log(0.5), 1e-6);
  }
}

TEST(Sampler, NotFiniteIsAnError) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Sampler sampler(3);
    EXPECT_NE(sampler.sample(std::vector<float>{1, bad, 2}, make_sequence({})).error, "");
  }
}

TEST(Sampler, DrawDependsOnSeedAndPositionOnly) {
  std::vector<float> logits(300);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 17) * 0.1f;
  SamplingParams sampling;
  sampling.seed = 11;
  Sampler sampler(300), used(300);
  for (int i = 0; i < 20; ++i) used.sample(logits, make_sequence({}, {1, 2, 3}));
  std::set<TokenId> different;
  for (int length = 1; length < 60; ++length) {
    const Sequence sequence = make_sequence(sampling, std::vector<TokenId>(static_cast<size_t>(length), 7));
    const SampledToken first = sampler.sample(logits, sequence);
    EXPECT_EQ(first.id, used.sample(logits, sequence).id);
    EXPECT_EQ(first.logprob, used.sample(logits, sequence).logprob);
    different.insert(first.id);
  }
  EXPECT_GT(different.size(), 30u) << "positions must not share their draw";
}

TEST(Sampler, LargeVocabularyPathsAgreeWithAFullSort) {
  constexpr int kVocab = 20000;
  std::vector<float> logits(kVocab);
  for (int i = 0; i < kVocab; ++i) logits[static_cast<size_t>(i)] = 4 * std::sin(static_cast<float>(i) * 1.7f);
  std::vector<Candidate> ranked;
  double total = 0;
  for (int i = 0; i < kVocab; ++i) {
    ranked.push_back({i, logits[static_cast<size_t>(i)], std::exp(logits[static_cast<size_t>(i)])});
    total += double(ranked.back().weight);
  }
  std::sort(ranked.begin(), ranked.end(), ranks_before);
  for (const float top_p : {0.1f, 0.9f}) {
    std::set<TokenId> nucleus;
    double sum = 0;
    for (const Candidate& candidate : ranked) {
      if (sum >= double(top_p) * total) break;
      sum += double(candidate.weight);
      nucleus.insert(candidate.id);
    }
    SamplingParams sampling;
    sampling.top_p = top_p;
    for (const auto& [id, share] : shares(logits, sampling, 500)) EXPECT_TRUE(nucleus.contains(id)) << id;
  }
}

}  // namespace
}  // namespace qwen
