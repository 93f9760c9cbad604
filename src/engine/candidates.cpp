// See candidates.h.
#include "engine/candidates.h"

#include <algorithm>
#include <limits>

namespace qwen {

namespace {

// Buffers shorter than this are sorted, not partitioned.
constexpr size_t kSmall = 64;

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
  // Halves the open range [low, high) until the cut is found; what lies before `low` is kept and weighs `kept`.
  size_t low = 0, high = candidates.size();
  double kept = 0;
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
