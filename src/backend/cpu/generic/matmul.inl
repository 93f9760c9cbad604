// Matrix product over packed panels. A block of kBlockPairs of a panel stays in the L2 cache while all rows of the task
// pass over it; accumulators rest in the output between blocks, which does not change a bit. The first pass over a
// block comes from memory.

constexpr int kBlockPairs = 1024;  // 128 KiB of a panel
constexpr int kPanelVectors = kPanelRows / kLanes;
constexpr int kTileVectors = 2;

template <int M, int V>
__attribute__((noinline)) static void matmul_tile(const Operand* x, int64_t x_stride, const uint16_t* w, int pairs,
                                                  float* out, int64_t out_stride, bool resume) {
  DotTile<M, V> tile;
  const uint16_t* vectors[V];
  for (int v = 0; v < V; ++v) vectors[v] = w + v * kLanes * 2;
  if (resume) {
    tile.load(out, out_stride);
  } else {
    tile.clear();
  }
  tile.add(x, x_stride, vectors, 2 * kPanelRows, pairs);
  tile.store(out, out_stride);
}

// V vectors of a panel at a time.
template <int V>
static void matmul_panel(const MatmulTask& t, const uint16_t* panel, float* out, int64_t out_stride) {
  const Operand* const x = static_cast<const Operand*>(t.x);
  const int block = t.rows <= max_tile_rows(V) ? t.pairs : kBlockPairs;
  for (int pair = 0; pair < t.pairs; pair += block) {
    const int pairs = t.pairs - pair < block ? t.pairs - pair : block;
    for (int vector = 0; vector < kPanelVectors; vector += V) {
      const uint16_t* const w = panel + (static_cast<int64_t>(pair) * kPanelRows + vector * kLanes) * 2;
      for_row_tiles<V>(0, t.rows, [&](auto rows, int row) {
        matmul_tile<decltype(rows)::kCount, V>(x + row * t.x_stride + 2 * pair, t.x_stride, w, pairs,
                                               out + row * out_stride + vector * kLanes, out_stride, pair > 0);
      });
    }
  }
}

static void matmul_panel(const MatmulTask& t, const uint16_t* panel, float* out, int64_t out_stride) {
  // Few rows: the whole width of the panel in one pass, so that it is read forward.
  if (t.rows <= max_tile_rows(kPanelVectors)) {
    matmul_panel<kPanelVectors>(t, panel, out, out_stride);
  } else {
    matmul_panel<kTileVectors>(t, panel, out, out_stride);
  }
}

static void matmul(const MatmulTask& t) {
  const uint16_t* panel = static_cast<const uint16_t*>(t.w);
  for (int column = 0; column < t.columns; column += kPanelRows, panel += panel_elements(t.pairs)) {
    const int columns = t.columns - column < kPanelRows ? t.columns - column : kPanelRows;
    float* const out = t.out + column;
    if (columns == kPanelRows) {
      matmul_panel(t, panel, out, t.out_stride);
    } else {  // a panel that ends in padding: through a buffer, a few rows at a time
      constexpr int kRows = 12;
      alignas(64) float edge[kRows * kPanelRows];
      MatmulTask part = t;
      for (int row = 0; row < t.rows; row += kRows) {
        part.x = static_cast<const Operand*>(t.x) + row * t.x_stride;
        part.rows = t.rows - row < kRows ? t.rows - row : kRows;
        matmul_panel(part, panel, edge, kPanelRows);
        for (int r = 0; r < part.rows; ++r) {
          for (int c = 0; c < columns; ++c) out[(row + r) * t.out_stride + c] = edge[r * kPanelRows + c];
        }
      }
    }
    if (t.bias == nullptr) continue;
    for (int row = 0; row < t.rows; ++row) {
      for (int c = 0; c < columns; ++c) out[row * t.out_stride + c] += t.bias[column + c];
    }
  }
}
