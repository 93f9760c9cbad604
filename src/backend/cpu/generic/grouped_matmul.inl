// Matrix product of one panel of GPTQ or AWQ weights (quant/grouped_format.h). A block's sums are exact, so their order
// is free; what follows them takes the same fused multiply-adds in the same order, whatever the tiles and passes are.
//
// Panels are walked as generic/integer_matmul.inl walks them: with several row tiles, a few groups stay in the L1 cache
// while all of them pass over it, and the first two fetch the next groups into it meanwhile; with one tile the stream
// is fetched a little ahead. A tile is as wide as the panel, so that weights are unpacked once for its rows: a group's
// sums, wanted once a block, and with 16 registers some of a block's may leave the registers for that.

constexpr int kGroupedPassBytes = 16 << 10;
constexpr int kGroupedFetchAhead = 4096;
constexpr int kGroupedTileRows = 6, kGroupedStreamRows = 8;  // at most, of a tile among others and of one alone

struct GroupedRows {
  const char* x;
  size_t x_stride;
  float* sums;  // [rows][kPanelRows]
  bool resume;  // add to sums

  const GroupedActivations& block(int row, int index) const {
    return reinterpret_cast<const GroupedActivations*>(x + static_cast<size_t>(row) * x_stride)[index];
  }
};

static QWEN_INLINE void fetch_line(const uint8_t* p) { __builtin_prefetch(p, 0, 3); }  // into the L1 cache

// M rows times the panel's width, over `blocks` blocks, whole groups but for the last. Of each step's two lines kFetch
// are fetched, `ahead` bytes on.
template <typename Dot, int M, int kFetch>
__attribute__((noinline)) static void grouped_tile(const GroupedMatmulTask& t, GroupedRows rows, const uint8_t* w,
                                                   int blocks, int64_t ahead) {
  constexpr int V = kPanelVectors, kSteps = kGroupedBlock / Dot::kInputs;
  const int64_t scale_bytes = static_cast<int64_t>(grouped_scale_bytes(t.wide_scales));
  const int64_t header_bytes = static_cast<int64_t>(grouped_header_bytes(t.wide_scales, t.zero_points));
  for (int first = 0; first < blocks; first += t.group_blocks) {
    const uint8_t* const header = w;
    const int end = first + t.group_blocks < blocks ? first + t.group_blocks : blocks;
    if (kFetch > 0) fetch_line(header + ahead);
    w += header_bytes;
    F32 group[M][V];
    unrolled<M>([&](auto m)
                    QWEN_INLINE_LAMBDA { unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { group[m][v] = zero(); }); });
    for (int block = first; block < end; ++block) {
      I32 acc[M][V];
      const int8_t* x[M];
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        const GroupedActivations& activations = rows.block(m, block);
        x[m] = activations.q;
        const I32 start = broadcast_integer(activations.start * (Dot::kOffset / 8));
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = start; });
      });
      QWEN_UNROLL for (int step = 0; step < kSteps; ++step, w += kGroupedStepBytes) {
        typename Dot::Weights weights[V];
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { weights[v] = Dot::load(w + v * kLanes * 4); });
        unrolled<kFetch>([&](auto line)
                             QWEN_INLINE_LAMBDA { fetch_line(w + ahead + line * static_cast<int>(kCacheLine)); });
        unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
          const auto inputs = Dot::broadcast(x[m] + step * Dot::kInputs);
          unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = Dot::multiply(acc[m][v], weights[v], inputs); });
        });
      }
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        const F32 scale = broadcast(rows.block(m, block).scale);
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { group[m][v] = fma(to_float(acc[m][v]), scale, group[m][v]); });
      });
    }
    if (t.zero_points) {
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        float sum = 0;
        for (int block = first; block < end; ++block) sum += rows.block(m, block).sum;
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
          const uint8_t* const zeros = header + scale_bytes + v * kLanes * 2;
          group[m][v] = fnma(load_f16(zeros), broadcast(sum), group[m][v]);
        });
      });
    }
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
      const int lane = v * kLanes;
      const F32 scale =
          t.wide_scales ? load(reinterpret_cast<const float*>(header) + lane) : load_f16(header + lane * 2);
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        float* const sum = rows.sums + m * kPanelRows + lane;
        const F32 before = first > 0 || rows.resume ? load(sum) : zero();
        store(sum, fma(group[m][v], scale, before));
      });
    });
  }
}

template <typename Dot>
static void grouped_rows(const GroupedMatmulTask& t, float* sums) {
  const uint8_t* w = static_cast<const uint8_t*>(t.w);
  GroupedRows rows{static_cast<const char*>(t.x), t.x_stride, sums, false};
  if (t.rows <= kGroupedStreamRows) {
    return with_rows<kGroupedStreamRows>(t.rows, 0, [&](auto count, int) {
      grouped_tile<Dot, decltype(count)::kCount, 2>(t, rows, w, t.blocks, kGroupedFetchAhead);
    });
  }
  constexpr int64_t kGroupedBlockBytes = kGroupedBlock / Dot::kInputs * static_cast<int64_t>(kGroupedStepBytes);
  const int64_t header = static_cast<int64_t>(grouped_header_bytes(t.wide_scales, t.zero_points));
  const int64_t group_bytes = header + t.group_blocks * kGroupedBlockBytes;
  const int groups = static_cast<int>(kGroupedPassBytes / group_bytes);  // of a pass
  const int64_t pass_bytes = (groups > 0 ? groups : 1) * group_bytes;
  const int pass_blocks = (groups > 0 ? groups : 1) * t.group_blocks;
  for (int first = 0; first < t.blocks; first += pass_blocks, w += pass_bytes) {
    const int blocks = t.blocks - first < pass_blocks ? t.blocks - first : pass_blocks;
    int tile = 0;
    for_tiles_of<kGroupedTileRows>(0, t.rows, [&](auto count, int row) {
      constexpr int M = decltype(count)::kCount;
      GroupedRows part = rows;
      part.x += static_cast<size_t>(row) * rows.x_stride;
      part.sums += row * kPanelRows;
      if (tile < 2) {
        const int64_t line = tile * static_cast<int64_t>(kCacheLine);
        grouped_tile<Dot, M, 1>(t, part, w, blocks, pass_bytes + line);
      } else {
        grouped_tile<Dot, M, 0>(t, part, w, blocks, 0);
      }
      ++tile;
    });
    rows.x += static_cast<size_t>(blocks) * sizeof(GroupedActivations);
    rows.resume = true;
  }
}

template <typename Dot>
static void grouped_matmul(const GroupedMatmulTask& t) {
  matmul_by_rows(t, grouped_rows<Dot>);
}
