// The products of attention over an int8 cache, M rows times V vectors at a time: scores and weighted values of one
// tile of keys, exact integers until a group of dimensions or the tile is complete. What the first rows' registers walk
// through they fetch for the next tile, into the L2 cache: generic/int8_attention.inl says when.

constexpr int kTileGroups = kAttentionTile / kKvGroup;
constexpr int kTokenVectors = kKvGroup / kLanes;  // of one group of tokens, or of 16 dimensions
constexpr int kLineVectors = static_cast<int>(kCacheLine) / (4 * kLanes);
static_assert(kKvGroup == 16 && kHeadDimUnit == 16);

// What one row multiplies the values of a tile and group of dimensions with: (2⁷ · high + low) · scale.
struct TileWeights {
  uint8_t high[kAttentionTile], low[kAttentionTile];
  float scale;
  float pad[15];
};
static_assert(sizeof(TileWeights) % kCacheLine == 0);

struct Int8Scratch {
  Int8Activations* q;    // [rows][groups of dimensions]
  TileWeights* weights;  // [rows][groups of dimensions]
  float* scores;         // [rows][kAttentionTile], then probabilities
  float* corrections;    // [rows]: of what the row has summed up before
};
static_assert(kMaxQueryRows *
                  (kMaxHeadGroups * (sizeof(Int8Activations) + sizeof(TileWeights)) + kAttentionTile * sizeof(float)) <=
              kAttentionScratchBytes);

static Int8Scratch make_int8_scratch(const AttentionTask& t) {
  Int8Scratch s;
  s.weights = static_cast<TileWeights*>(t.scratch);
  s.scores = reinterpret_cast<float*>(s.weights + kMaxQueryRows * kMaxHeadGroups);
  s.corrections = s.scores + kMaxQueryRows * kAttentionTile;
  s.q = reinterpret_cast<Int8Activations*>(s.corrections + kMaxQueryRows);
  return s;
}

// Where the keys and values of one tile lie: scales, then numbers.
struct Int8Tile {
  const uint8_t* keys[kTileGroups];
  const uint8_t* values[kTileGroups];
  int count;
};

static Int8Tile int8_tile(const AttentionTask& t, int first) {
  const int groups_per_block = t.kv.block_size / kKvGroup;
  const int keys = t.end - first < kAttentionTile ? t.end - first : kAttentionTile;
  Int8Tile tile;
  tile.count = (keys + kKvGroup - 1) / kKvGroup;
  for (int g = 0; g < kTileGroups; ++g) {
    const int position = first + (g < tile.count ? g : 0) * kKvGroup;  // always a place that may be read
    const int64_t offset = t.kv.block_table[position / t.kv.block_size] * t.kv.block_stride +
                           position / kKvGroup % groups_per_block * t.kv.group_stride;
    tile.keys[g] = static_cast<const uint8_t*>(t.kv.keys) + offset;
    tile.values[g] = static_cast<const uint8_t*>(t.kv.values) + offset;
  }
  return tile;
}

// One task, constant while it runs.
struct Int8Head {
  int rows, groups, padded;
  int64_t scale_bytes, group_bytes, state_stride;
  float scale;
  float* state;

  const float* scales(const uint8_t* tokens, int group) const {
    return reinterpret_cast<const float*>(tokens) + group * kKvGroup;
  }
  int last_dim(int group) const {
    return padded - group * kIntegerGroup < kIntegerGroup ? padded : (group + 1) * kIntegerGroup;
  }
};

static QWEN_INLINE void fetch(const uint8_t* line) { __builtin_prefetch(line, 0, 2); }

// Scores of M rows for V vectors of tokens: the part of one group of dimensions, added to those before it. Of `ahead`
// kFetched are walked through as the keys are.
template <int M, int V, int kFetched>
static void score_tile(const Int8Scratch& s, const Int8Head& head, int row, int group, const uint8_t* const* keys,
                       const float* const* scales, const uint8_t* const* ahead, int first) {
  const Int8Activations* const q = s.q + row * head.groups + group;
  const int8_t* numbers[M];
  I32 acc[M][V];
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    numbers[m] = q[m * head.groups].q;
    const I32 start = broadcast_integer(q[m * head.groups].minus_sum * Int8Dot::kOffset);
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = start; });
  });
  const int steps = (head.last_dim(group) - group * kIntegerGroup) / 4;
  int64_t offset = int64_t{group} * kIntegerGroup * kKvGroup;
  for (int step = 0; step < steps; ++step, offset += 4 * kKvGroup) {
    typename Int8Dot::Weights k[V];
    unrolled<kFetched>([&](auto line) QWEN_INLINE_LAMBDA { fetch(ahead[line] + offset); });
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { k[v] = Int8Dot::load(keys[v] + offset); });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      const I32 four = Int8Dot::broadcast(numbers[m] + 4 * step);
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = Int8Dot::multiply(acc[m][v], k[v], four); });
    });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { keep_in_register(acc[m][v]); });
    });
  }
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    const F32 row_scale = broadcast(q[m * head.groups].scale * head.scale);
    float* const out = s.scores + (row + m) * kAttentionTile + first;
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
      const F32 before = group > 0 ? load(out + v * kLanes) : zero();
      store(out + v * kLanes, fma(to_float(acc[m][v]), mul(load(scales[v]), row_scale), before));
    });
  });
}

// The same for rows [begin, end); their first tile of registers fetches.
template <int V, int kFetched>
static void score_rows(const Int8Scratch& s, const Int8Head& head, int begin, int group, const uint8_t* const* keys,
                       const float* const* scales, const uint8_t* const* ahead, int first) {
  for_tiles_of<kScoreRows>(begin, head.rows, [&](auto count, int row) {
    constexpr int M = decltype(count)::kCount;
    if (row == begin) return score_tile<M, V, kFetched>(s, head, row, group, keys, scales, ahead, first);
    score_tile<M, V, 0>(s, head, row, group, keys, scales, ahead, first);
  });
}

constexpr int kFetchedGroups = kTileGroups / 2;  // of the next tile's keys, during the scores

// Scores of one tile. Only whole tiles have a next one.
static void score_int8(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile,
                       const Int8Tile& next) {
  const uint8_t *keys[kTileGroups], *ahead[kTileGroups];
  const float* scales[kTileGroups];
  for (int g = 0; g < tile.count; ++g) {
    keys[g] = tile.keys[g] + head.scale_bytes;
    ahead[g] = next.keys[g] + head.scale_bytes;
  }
  for (int group = 0; group < head.groups; ++group) {
    for (int g = 0; g < tile.count; ++g) scales[g] = head.scales(tile.keys[g], group);
    if constexpr (kTokenVectors == 1) {
      switch (tile.count) {
        case 4:
          score_rows<4, kFetchedGroups>(s, head, begin, group, keys, scales, ahead, 0);
          break;
        case 3:
          score_rows<3, 0>(s, head, begin, group, keys, scales, ahead, 0);
          break;
        case 2:
          score_rows<2, 0>(s, head, begin, group, keys, scales, ahead, 0);
          break;
        default:
          score_rows<1, 0>(s, head, begin, group, keys, scales, ahead, 0);
      }
    } else {
      for (int g = 0; g < tile.count; ++g) {
        const uint8_t* half[kTokenVectors];
        const float* half_scales[kTokenVectors];
        for (int v = 0; v < kTokenVectors; ++v) {
          half[v] = keys[g] + v * kLanes * 4;
          half_scales[v] = scales[g] + v * kLanes;
        }
        if (g < kFetchedGroups)
          score_rows<kTokenVectors, 1>(s, head, begin, group, half, half_scales, ahead + g, g * kKvGroup);
        else
          score_rows<kTokenVectors, 0>(s, head, begin, group, half, half_scales, ahead + g, g * kKvGroup);
      }
    }
  }
}

// Weighted values of M rows and V vectors of dimensions from `dim` on, a group's, added to their states. With kFetch
// the next tile's are walked through as the values are.
template <int M, int V, bool kFetch>
static void value_tile(const Int8Scratch& s, const Int8Head& head, int row, int group, int dim, const Int8Tile& tile,
                       const Int8Tile& next) {
  const TileWeights* const weights = s.weights + row * head.groups + group;
  const uint8_t* halves[M];
  I32 high[M][V], low[M][V];
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    halves[m] = weights[m * head.groups].high;
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { high[m][v] = low[m][v] = broadcast_integer(0); });
  });
  const int64_t first = head.scale_bytes + dim * 4;
  int token = 0;
  for (int g = 0; g < tile.count; ++g) {
    const uint8_t *from = tile.values[g] + first, *ahead = next.values[g] + first;
    for (int four = 0; four < kKvGroup / 4; ++four, token += 4, from += 4 * head.padded, ahead += 4 * head.padded) {
      I32 values[V];
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
        if constexpr (kFetch && v % kLineVectors == 0) fetch(ahead + v * kLanes * 4);
        values[v] = load_signed(from + v * kLanes * 4);
      });
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        const I32 upper = broadcast_four(reinterpret_cast<const int8_t*>(halves[m] + token));
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { high[m][v] = add_products(high[m][v], upper, values[v]); });
        const I32 lower = broadcast_four(reinterpret_cast<const int8_t*>(halves[m] + kAttentionTile + token));
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { low[m][v] = add_products(low[m][v], lower, values[v]); });
      });
      unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
          keep_in_register(high[m][v]);
          keep_in_register(low[m][v]);
        });
      });
    }
  }
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    const F32 scale = broadcast(weights[m * head.groups].scale), correction = broadcast(s.corrections[row + m]);
    float* const state = head.state + (row + m) * head.state_stride + dim;
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
      float* const at = state + v * kLanes;
      store(at, fma(to_float(join_halves(high[m][v], low[m][v])), scale, mul(load(at), correction)));
    });
  });
}

template <int V>
static void value_rows(const Int8Scratch& s, const Int8Head& head, int begin, int group, int dim, const Int8Tile& tile,
                       const Int8Tile& next) {
  for_tiles_of<kValueRows>(begin, head.rows, [&](auto count, int row) {
    constexpr int M = decltype(count)::kCount;
    if (row == begin) return value_tile<M, V, true>(s, head, row, group, dim, tile, next);
    value_tile<M, V, false>(s, head, row, group, dim, tile, next);
  });
}

static void add_int8_values(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile,
                            const Int8Tile& next) {
  for (int group = 0; group < head.groups; ++group) {
    int dim = group * kIntegerGroup;
    for (; dim + kValueVectors * kLanes <= head.last_dim(group); dim += kValueVectors * kLanes)
      value_rows<kValueVectors>(s, head, begin, group, dim, tile, next);
    for (; dim < head.last_dim(group); dim += kHeadDimUnit)
      value_rows<kTokenVectors>(s, head, begin, group, dim, tile, next);
  }
}
