// Matrix product of one panel of integers. The sums of a group, or of each of its Dot::kParts parts where these have
// scales of their own, are exact, so their order is free; the sum over them is kept in memory and takes one fused
// multiply-add a part, ascending, whatever the tiles and blocks are.
//
// With several row tiles, a block of groups stays in the L1 cache while all of them pass over it, and the first two
// fetch the next block into the L2 cache meanwhile: reading overlaps with computing. (Into the L1 cache, its few
// requests in flight would be the limit.) Up to kStreamedRows rows memory is all there is: one tile, and the stream is
// fetched a little ahead into the L1 cache.

constexpr int kPanelVectors = kPanelRows / kLanes;
constexpr int kBlockBytes = 20 * 1024;  // of the L1 cache's 32 KiB; the rest is for activations and sums
constexpr int kStepBytes = 4 * kPanelRows;
constexpr int kFetchAhead = 4096;
constexpr int kStreamedRows = max_tile_rows(kPanelVectors) < 6 ? max_tile_rows(kPanelVectors) : 6;

struct RowBlock {
  const char* x;
  size_t x_stride;
  float* sums;  // [rows][kPanelRows]
  bool resume;  // add to sums

  const Int8Activations& activations(int row, int group) const {
    return reinterpret_cast<const Int8Activations*>(x + static_cast<size_t>(row) * x_stride)[group];
  }
};

template <typename Dot>
constexpr int kBlockGroups = kBlockBytes / (kStepBytes * Dot::kSteps * Dot::kParts);

// M rows times V vectors of outputs from `vector` on, over `groups` groups. Of each step's two lines kFetch are
// fetched, `ahead` bytes on: both into the L1 cache, or one into the L2 cache.
template <typename Dot, int M, int V, int kFetch>
__attribute__((noinline)) static void integer_tile(RowBlock rows, const typename Dot::Panel* panel, int vector,
                                                   int groups, int64_t ahead) {
  for (int index = 0; index < groups * Dot::kParts; ++index, ++panel) {
    const int group = index / Dot::kParts, part = index % Dot::kParts;
    I32 acc[M][V];
    const int8_t* x[M];
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      const Int8Activations& activations = rows.activations(m, group);
      x[m] = activations.q + part * (kIntegerGroup / Dot::kParts);
      const int32_t minus_sum = Dot::kParts == 1 ? activations.minus_sum : activations.minus_half_sums[part];
      const I32 start = broadcast_integer(minus_sum * Dot::kOffset);
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = start; });
    });
    const uint8_t* w = &panel->q[0][vector * kLanes][0];
    for (int step = 0; step < Dot::kSteps; ++step, w += kStepBytes) {
      typename Dot::Weights weights[V];
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { weights[v] = Dot::load(w + v * kLanes * 4); });
      unrolled<kFetch>([&](auto line) QWEN_INLINE_LAMBDA {
        __builtin_prefetch(w + ahead + line * static_cast<int>(kCacheLine), 0, kFetch == 2 ? 3 : 2);
      });
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        const auto inputs = Dot::broadcast(x[m] + step * Dot::kInputs);
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = Dot::multiply(acc[m][v], weights[v], inputs); });
      });
    }
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
      const F32 scale = load_bf16(panel->scales + (vector + v) * kLanes);
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        float* const sum = rows.sums + m * kPanelRows + (vector + v) * kLanes;
        const F32 before = index > 0 || rows.resume ? load(sum) : zero();
        store(sum, fma(to_float(acc[m][v]), mul(scale, broadcast(rows.activations(m, group).scale)), before));
      });
    });
  }
}

// The panel's whole width, V vectors at a time, of which the first pass fetches.
template <typename Dot, int M, int V, int kFetch>
static void integer_tile_row(const RowBlock& rows, const typename Dot::Panel* panel, int groups, int64_t ahead) {
  integer_tile<Dot, M, V, kFetch>(rows, panel, 0, groups, ahead);
  for (int vector = V; vector < kPanelVectors; vector += V) {
    integer_tile<Dot, M, V, 0>(rows, panel, vector, groups, 0);
  }
}

template <typename Dot>
static void integer_rows(const IntegerMatmulTask& t, float* sums) {
  using Panel = typename Dot::Panel;
  const Panel* const panel = static_cast<const Panel*>(t.w);
  RowBlock block{static_cast<const char*>(t.x), t.x_stride, sums, false};
  if (t.rows <= kStreamedRows) {
    return with_rows<kStreamedRows>(t.rows, 0, [&](auto count, int) {
      integer_tile<Dot, decltype(count)::kCount, kPanelVectors, 2>(block, panel, 0, t.groups, kFetchAhead);
    });
  }
  for (int group = 0; group < t.groups; group += kBlockGroups<Dot>) {
    const int groups = t.groups - group < kBlockGroups<Dot> ? t.groups - group : kBlockGroups<Dot>;
    int tile = 0;
    const auto pass = [&](auto count, int row) {
      constexpr int M = decltype(count)::kCount;
      constexpr int64_t kNext = kBlockGroups<Dot> * Dot::kParts * static_cast<int64_t>(sizeof(Panel));
      RowBlock rows = block;
      rows.x += static_cast<size_t>(row) * block.x_stride;
      rows.sums += row * kPanelRows;
      if (tile < 2) {
        const int64_t line = tile * static_cast<int64_t>(kCacheLine);
        integer_tile_row<Dot, M, kTileVectors, 1>(rows, panel + group * Dot::kParts, groups, kNext + line);
      } else {
        integer_tile_row<Dot, M, kTileVectors, 0>(rows, panel + group * Dot::kParts, groups, 0);
      }
      ++tile;
    };
    for_row_tiles<kTileVectors>(0, t.rows, pass, 2);
    block.x += static_cast<size_t>(groups) * sizeof(Int8Activations);
    block.resume = true;
  }
}

// kIntegerTaskRows rows of the task at a time: `sum_up` leaves their sums in [rows][kPanelRows], which become the
// output.
template <typename Task>
static inline void matmul_by_rows(const Task& t, void (*sum_up)(const Task& part, float* sums)) {
  constexpr int kRows = kIntegerTaskRows;
  alignas(64) float sums[kRows * kPanelRows];
  Task part = t;
  for (int row = 0; row < t.rows; row += kRows) {
    part.x = static_cast<const char*>(t.x) + static_cast<size_t>(row) * t.x_stride;
    part.rows = t.rows - row < kRows ? t.rows - row : kRows;
    sum_up(part, sums);
    for (int r = 0; r < part.rows; ++r) {
      const float* const from = sums + r * kPanelRows;
      float* const to = t.out + (row + r) * t.out_stride;
      if (t.bias != nullptr) {
        for (int c = 0; c < t.columns; ++c) to[c] = from[c] + t.bias[c];
      } else {
        __builtin_memcpy(to, from, static_cast<size_t>(t.columns) * sizeof(float));
      }
    }
  }
}

template <typename Dot>
static void integer_matmul(const IntegerMatmulTask& t) {
  matmul_by_rows(t, integer_rows<Dot>);
}
