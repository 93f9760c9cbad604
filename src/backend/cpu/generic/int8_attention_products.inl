// The products of attention over an int8 cache, M rows times V vectors at a time: scores and weighted values of one
// tile of keys, exact integers until a group of dimensions or the tile is complete.

constexpr int kKeyVectors = kKvTile / kLanes;
static_assert(kHeadDimUnit == 16);

// What one row multiplies the values of a tile and group of dimensions with: (2⁷ · high + low) · scale.
struct TileWeights {
  uint8_t high[kKvTile], low[kKvTile];
  float scale;
  int32_t fine;  // not all of `low` is zero
  float pad[14];
};
static_assert(sizeof(TileWeights) % kCacheLine == 0);

struct Int8Scratch {
  Int8Activations* q;    // [kv_heads · rows][groups of dimensions]
  TileWeights* weights;  // [rows][groups of dimensions]
  float* scores;         // [rows][kKvTile], then probabilities
  float* corrections;    // [rows]: of what the row has summed up before
  float* largest;        // [rows]: probability in the tile
};
static_assert(kMaxQueryRows *
                  (kMaxHeadGroups * (sizeof(Int8Activations) + sizeof(TileWeights)) + (kKvTile + 2) * sizeof(float)) <=
              kAttentionScratchBytes);

static Int8Scratch make_int8_scratch(const AttentionTask& t) {
  Int8Scratch s;
  s.weights = static_cast<TileWeights*>(t.scratch);
  s.scores = reinterpret_cast<float*>(s.weights + kMaxQueryRows * kMaxHeadGroups);
  s.corrections = s.scores + kMaxQueryRows * kKvTile;
  s.largest = s.corrections + kMaxQueryRows;
  s.q = reinterpret_cast<Int8Activations*>(s.largest + kMaxQueryRows);
  return s;
}

// What one task does for one of its heads.
struct Int8Head {
  const Int8Activations* q;  // [rows][groups]
  float* state;              // [rows][state_stride]
  int rows, groups, padded;
  int64_t scale_bytes, state_stride;
  float scale;

  int last_dim(int group) const {
    return padded - group * kIntegerGroup < kIntegerGroup ? padded : (group + 1) * kIntegerGroup;
  }
};

// One tile of one head: scales, then numbers.
struct Int8Tile {
  const uint8_t* keys;
  const uint8_t* values;
  int count;  // keys to be scored, a multiple of 16

  static const float* scales(const uint8_t* of, int group) {
    return reinterpret_cast<const float*>(of) + group * kKvTile;
  }
};

// Scores of M rows for V vectors of keys: the part of one group of dimensions, added to those before it.
template <int M, int V>
static void score_keys(const Int8Scratch& s, const Int8Head& head, int row, int group, const Int8Tile& tile,
                       int first) {
  const Int8Activations* const q = head.q + row * head.groups + group;
  const int8_t* numbers[M];
  I32 acc[M][V];
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    numbers[m] = q[m * head.groups].q;
    const I32 start = broadcast_integer(q[m * head.groups].minus_sum * Int8Dot::kOffset);
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = start; });
  });
  const int steps = (head.last_dim(group) - group * kIntegerGroup) / 4;
  const uint8_t* keys = tile.keys + head.scale_bytes + int64_t{group} * kIntegerGroup * kKvTile + first * 4;
  for (int step = 0; step < steps; ++step, keys += 4 * kKvTile) {
    typename Int8Dot::Weights k[V];
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { k[v] = Int8Dot::load(keys + v * kLanes * 4); });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      const I32 four = Int8Dot::broadcast(numbers[m] + 4 * step);
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { acc[m][v] = Int8Dot::multiply(acc[m][v], k[v], four); });
    });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { keep_in_register(acc[m][v]); });
    });
  }
  const float* const scales = Int8Tile::scales(tile.keys, group) + first;
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    const F32 row_scale = broadcast(q[m * head.groups].scale * head.scale);
    float* const out = s.scores + (row + m) * kKvTile + first;
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
      const F32 before = group > 0 ? load(out + v * kLanes) : zero();
      store(out + v * kLanes, fma(to_float(acc[m][v]), mul(load(scales + v * kLanes), row_scale), before));
    });
  });
}

template <int V>
static void score_rows(const Int8Scratch& s, const Int8Head& head, int begin, int group, const Int8Tile& tile,
                       int first) {
  for_tiles_of<kScoreRows>(begin, head.rows, [&](auto count, int row) {
    score_keys<decltype(count)::kCount, V>(s, head, row, group, tile, first);
  });
}

static void score_int8(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile) {
  for (int group = 0; group < head.groups; ++group) {
    if constexpr (kKeyVectors == 4) {  // all at once: the keys are read forward
      switch (tile.count / kLanes) {
        case 4:
          score_rows<4>(s, head, begin, group, tile, 0);
          break;
        case 3:
          score_rows<3>(s, head, begin, group, tile, 0);
          break;
        case 2:
          score_rows<2>(s, head, begin, group, tile, 0);
          break;
        default:
          score_rows<1>(s, head, begin, group, tile, 0);
      }
    } else {
      for (int first = 0; first < tile.count; first += 2 * kLanes) score_rows<2>(s, head, begin, group, tile, first);
    }
  }
}

// Weighted values of M rows and V vectors of dimensions from `dim` on, a group's, added to their states.
template <int M, int V, bool kFine>
static void value_dims(const Int8Scratch& s, const Int8Head& head, int row, int group, int dim, const Int8Tile& tile) {
  const TileWeights* const weights = s.weights + row * head.groups + group;
  I32 high[M][V], low[M][V];
  unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { high[m][v] = low[m][v] = broadcast_integer(0); });
  });
  const int slice = value_slice(dim), width = value_slice_width(head.padded, dim);
  const uint8_t* values = tile.values + head.scale_bytes + int64_t{slice} * kKvTile + (dim - slice) * 4;
  for (int token = 0; token < tile.count; token += 4, values += 4 * width) {
    I32 v4[V];
    unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { v4[v] = load_signed(values + v * kLanes * 4); });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      const auto upper = broadcast_weights(weights[m * head.groups].high + token);
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { high[m][v] = add_products(high[m][v], upper, v4[v]); });
      if constexpr (kFine) {
        const auto lower = broadcast_weights(weights[m * head.groups].low + token);
        unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA { low[m][v] = add_products(low[m][v], lower, v4[v]); });
      }
    });
    unrolled<M>([&](auto m) QWEN_INLINE_LAMBDA {
      unrolled<V>([&](auto v) QWEN_INLINE_LAMBDA {
        keep_in_register(high[m][v]);
        if constexpr (kFine) keep_in_register(low[m][v]);
      });
    });
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

// V vectors at a time, or V / 2 where a row's weights are fine.
template <int V>
static void value_rows(const Int8Scratch& s, const Int8Head& head, int begin, int group, int dim,
                       const Int8Tile& tile) {
  for_tiles_of<kValueRows>(begin, head.rows, [&](auto count, int row) {
    constexpr int M = decltype(count)::kCount, kHalf = V > 1 ? V / 2 : 1;
    int32_t fine = 0;
    for (int m = 0; m < M; ++m) fine |= s.weights[(row + m) * head.groups + group].fine;
    if (fine == 0) return value_dims<M, V, false>(s, head, row, group, dim, tile);
    for (int v = 0; v < V; v += kHalf) value_dims<M, kHalf, true>(s, head, row, group, dim + v * kLanes, tile);
  });
}

static void add_int8_values(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile) {
  static_assert(kValueSlice % (kValueVectors * kLanes) == 0);
  for (int group = 0; group < head.groups; ++group) {
    int dim = group * kIntegerGroup;
    for (; dim + kValueVectors * kLanes <= head.last_dim(group); dim += kValueVectors * kLanes)
      value_rows<kValueVectors>(s, head, begin, group, dim, tile);
    for (; dim < head.last_dim(group); dim += kHeadDimUnit)
      value_rows<kHeadDimUnit / kLanes>(s, head, begin, group, dim, tile);
  }
}
