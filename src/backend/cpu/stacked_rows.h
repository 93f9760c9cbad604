// Several host matrices with equal input features, stacked along the outputs: what becomes one packed matrix.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "quant/host_matrix.h"

namespace qwen {

// Errors: kBadData for shapes or element types that do not fit together. Returns the rows of all.
int check_stack(std::span<const HostMatrix> stacked);

// visit(lane, matrix, row, rows) for each run of the `count` stacked rows from `first` on that lies in one matrix; lane
// counts from 0.
template <typename Visit>
void for_each_run(std::span<const HostMatrix> stacked, int64_t first, int count, const Visit& visit) {
  int lane = 0;
  for (const HostMatrix& m : stacked) {
    if (first >= m.rows) {
      first -= m.rows;
      continue;
    }
    const int rows = static_cast<int>(std::min<int64_t>(count - lane, m.rows - first));
    visit(lane, m, first, rows);
    lane += rows;
    first = 0;
    if (lane == count) return;
  }
}

}  // namespace qwen
