// Tiles cover every row once, in order, and none is empty.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace qwen {
namespace {

constexpr int max_tile_rows(int vectors) { return vectors == 1 ? 6 : 1; }
#include "backend/cpu/generic/row_tiles.inl"

TEST(RowTiles, CoverTheRowsWithoutAnEmptyTile) {
  for (const int rows : {0, 1, 2, 5, 6, 7, 9, 13, 64}) {
    for (const int least : {1, 2, 3, 8}) {
      std::vector<int> heights;
      int next = 10;
      const auto body = [&](auto count, int row) {
        EXPECT_EQ(row, next);
        heights.push_back(count.kCount);
        next += count.kCount;
      };
      for_row_tiles<1>(10, 10 + rows, body, least);
      EXPECT_EQ(next, 10 + rows) << least;
      EXPECT_GE(static_cast<int>(heights.size()), std::min(rows, least));
    }
  }
}

}  // namespace
}  // namespace qwen
