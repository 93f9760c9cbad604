// See candidates.h.
#include "engine/candidates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace qwen {

namespace {

// Buffers shorter than this are sorted, not partitioned.
constexpr size_t kSmall = 64;
// From here on a histogram finds the neighbourhood of the cut first.
constexpr size_t kLarge = 2048;
constexpr size_t kBins = 1024;

// What of [low, high) may hold the cut; the candidates before `low` are kept and weigh `kept`.
struct CutRange {
  size_t low = 0, high = 0;
  double kept = 0;
};

// Bins by logit, so that whole bins rank before whole bins: one pass instead of the ten of repeated halving.
CutRange narrow_by_histogram(std::vector<Candidate>& candidates, double target) {
  const auto [lowest, highest] = std::minmax_element(
      candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.logit < b.logit; });
  const float top = highest->logit;
  const float width = std::max(top - lowest->logit, std::numeric_limits<float>::min());
  const auto bin_of = [&](const Candidate& candidate) {
    return std::min(static_cast<size_t>((top - candidate.logit) / width * kBins), kBins - 1);
  };
  if (!std::isfinite(width)) return {0, candidates.size(), 0};
  std::array<double, kBins> weights{};
  for (const Candidate& candidate : candidates) weights[bin_of(candidate)] += static_cast<double>(candidate.weight);
  CutRange range;
  size_t cut = 0;
  while (cut + 1 < kBins && range.kept + weights[cut] < target) range.kept += weights[cut++];
  const auto first =
      std::partition(candidates.begin(), candidates.end(), [&](const Candidate& c) { return bin_of(c) < cut; });
  const auto last = std::partition(first, candidates.end(), [&](const Candidate& c) { return bin_of(c) == cut; });
  range.low = static_cast<size_t>(first - candidates.begin());
  range.high = static_cast<size_t>(last - candidates.begin());
  return range;
}

}  // namespace

void select_top_k(std::vector<Candidate>& out, std::span<const float> logits, int k) {
  out.clear();
  const size_t wanted = static_cast<size_t>(k);
  const size_t capacity = std::max(2 * wanted, kSmall);
  // Once the buffer was full, what does not exceed the k-th logit so far cannot get in: an equal logit comes with a
  // higher id.
  float threshold = -std::numeric_limits<float>::infinity();
  const auto keep_best = [&] {
    if (out.size() <= wanted) return;
    std::nth_element(out.begin(), out.begin() + static_cast<ptrdiff_t>(wanted - 1), out.end(), ranks_before);
    out.resize(wanted);
    threshold = out.back().logit;
  };
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > threshold)) continue;
    out.push_back({static_cast<TokenId>(i), logits[i], 0});
    if (out.size() == capacity) keep_best();
  }
  keep_best();
  std::sort(out.begin(), out.end(), ranks_before);
}

void keep_top_p(std::vector<Candidate>& candidates, double top_p, double total) {
  const double target = top_p * total;
  auto [low, high, kept] =
      candidates.size() > kLarge ? narrow_by_histogram(candidates, target) : CutRange{0, candidates.size(), 0};
  const auto at = [&](size_t i) { return candidates.begin() + static_cast<ptrdiff_t>(i); };
  while (high - low > kSmall) {
    const size_t middle = low + (high - low) / 2;
    std::nth_element(at(low), at(middle), at(high), ranks_before);
    double half = 0;
    for (size_t i = low; i < middle; ++i) half += static_cast<double>(candidates[i].weight);
    if (kept + half >= target) {
      high = middle;
    } else {
      kept += half;
      low = middle;
    }
  }
  std::sort(at(low), at(high), ranks_before);
  while (low < high && (low == 0 || kept < target)) kept += static_cast<double>(candidates[low++].weight);
  candidates.resize(low);
}

}  // namespace qwen
