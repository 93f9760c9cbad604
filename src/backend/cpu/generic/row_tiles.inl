// Cuts any number of rows into register tiles of nearly equal height (9 rows at most 6 at a time: 5 + 4, not 6 + 3).

template <int N>
struct Rows {
  static constexpr int kCount = N;
};

template <int N, typename Body>
static inline void with_rows(int rows, int first, const Body& body) {
  if constexpr (N > 1) {
    if (rows < N) return with_rows<N - 1>(rows, first, body);
  }
  body(Rows<N>{}, first);
}

// body(Rows<N>, first_row) for tiles that cover [begin, end), 1 ≤ N ≤ kMax, at least `least` of them but no more than
// there are rows: none for no rows.
template <int kMax, typename Body>
static inline void for_tiles_of(int begin, int end, const Body& body, int least = 1) {
  const int all = end - begin, needed = (all + kMax - 1) / kMax, wanted = needed < least ? least : needed;
  for (int tiles = wanted < all ? wanted : all; tiles > 0; --tiles) {
    const int rows = (end - begin + tiles - 1) / tiles;
    with_rows<kMax>(rows, begin, body);
    begin += rows;
  }
}

// The same for tiles of V vectors as the instruction set's dot products want them.
template <int V, typename Body>
static inline void for_row_tiles(int begin, int end, const Body& body, int least = 1) {
  for_tiles_of<max_tile_rows(V)>(begin, end, body, least);
}
