// Selection without sorting, against a full sort.
#include "engine/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

namespace qwen {
namespace {

std::vector<float> random_logits(size_t count, uint32_t seed, bool many_ties) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = many_ties ? std::round(normal(random)) : normal(random);
  return logits;
}

std::vector<Candidate> ranked(const std::vector<float>& logits) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < logits.size(); ++i) {
    all.push_back({static_cast<TokenId>(i), logits[i], std::exp(logits[i])});
  }
  std::sort(all.begin(), all.end(), ranks_before);
  return all;
}

std::vector<TokenId> ids(const std::vector<Candidate>& candidates) {
  std::vector<TokenId> result;
  for (const Candidate& candidate : candidates) result.push_back(candidate.id);
  return result;
}

TEST(SelectTopK, EqualsTheFullSort) {
  for (const bool many_ties : {false, true}) {
    for (const int k : {1, 2, 20, 64, 65, 500, 999}) {
      const std::vector<float> logits = random_logits(1000, static_cast<uint32_t>(k), many_ties);
      std::vector<TokenId> expected = ids(ranked(logits));
      expected.resize(static_cast<size_t>(k));
      std::vector<Candidate> selected;
      select_top_k(selected, logits, k);
      EXPECT_EQ(ids(selected), expected) << "k = " << k;
    }
  }
}

TEST(SelectTopK, WorstOrders) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i);
  std::vector<Candidate> selected;
  select_top_k(selected, logits, 3);
  EXPECT_EQ(ids(selected), (std::vector<TokenId>{4999, 4998, 4997}));
  select_top_k(selected, std::vector<float>(5000, 1.5f), 3);
  EXPECT_EQ(ids(selected), (std::vector<TokenId>{0, 1, 2}));
}

TEST(SelectTopK, LeavesBarredTokensOut) {
  std::vector<float> logits(100, -std::numeric_limits<float>::infinity());
  logits[7] = -5;
  logits[70] = 2;
  std::vector<Candidate> selected;
  select_top_k(selected, logits, 20);
  EXPECT_EQ(ids(selected), (std::vector<TokenId>{70, 7}));
}

TEST(KeepTopP, EqualsTheFullSort) {
  for (const bool many_ties : {false, true}) {
    for (const size_t count : {size_t{1}, size_t{5}, size_t{64}, size_t{65}, size_t{3000}}) {
      for (const double top_p : {0.0001, 0.3, 0.9, 0.999}) {
        const std::vector<float> logits = random_logits(count, static_cast<uint32_t>(count), many_ties);
        std::vector<Candidate> candidates = ranked(logits);
        double total = 0, sum = 0;
        for (const Candidate& candidate : candidates) total += double(candidate.weight);
        std::set<TokenId> expected;
        for (const Candidate& candidate : candidates) {
          if (!expected.empty() && sum >= top_p * total) break;
          expected.insert(candidate.id);
          sum += double(candidate.weight);
        }
        std::sort(candidates.begin(), candidates.end(), [](auto& a, auto& b) { return a.id < b.id; });
        keep_top_p(candidates, top_p, total);
        const std::vector<TokenId> kept = ids(candidates);
        EXPECT_EQ(std::set<TokenId>(kept.begin(), kept.end()), expected) << count << " at " << top_p;
      }
    }
  }
}

}  // namespace
}  // namespace qwen
