#include "base/nearest_name.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace qwen {
namespace {

// Edit distance in which two neighbours that changed places are one edit; names are short.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before = last;
    last = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j - 1] + (a[i - 1] != b[j - 1]), last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string_view> known) {
  std::optional<std::string_view> nearest;
  size_t least = SIZE_MAX;
  for (const std::string_view candidate : known) {
    const size_t edits = distance(name, candidate);
    if (edits >= least || 3 * edits > std::max(name.size(), candidate.size())) continue;
    least = edits;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace qwen
