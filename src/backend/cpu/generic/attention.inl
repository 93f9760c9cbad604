// Attention over one partition: for each tile of kAttentionTile keys at absolute positions, scores, running maximum and
// length (online softmax), weighted values. Every row goes through the same steps in the same order whichever rows
// share the task: rows that a tile lies wholly beyond are left out of it, keys beyond a row get the weight 0.

constexpr int kGroupsPerTile = kAttentionTile / kKvGroup;
constexpr int kGroupVectors = kKvGroup / kLanes;  // vectors of one group of keys
constexpr int kScoreVectors = kAttentionTile / kLanes;

struct AttentionScratch {
  Operand* q;        // [rows][operand_stride]
  Operand* weights;  // [rows][kWeightStride]
  float* scores;     // [rows][kAttentionTile]
  int64_t q_stride;
};

// Odd multiples of a cache line, as for activations.
constexpr int64_t kWeightStride = kAttentionTile + static_cast<int64_t>(kCacheLine / sizeof(Operand));

static AttentionScratch make_scratch(const AttentionTask& t) {
  AttentionScratch s;
  s.q_stride = activation_stride(padded_head_dim(t.head_dim), sizeof(Operand));
  s.q = static_cast<Operand*>(t.scratch);
  s.weights = s.q + kMaxQueryRows * s.q_stride;
  s.scores = reinterpret_cast<float*>(s.weights + kMaxQueryRows * kWeightStride);
  return s;
}

static void convert_queries(const AttentionTask& t, const AttentionScratch& s) {
  const int padded = padded_head_dim(t.head_dim);
  const F32 scale = broadcast(t.scale);
  for (int i = 0; i < t.rows * t.group; ++i) {
    const float* const q = t.q + i / t.group * t.q_stride + i % t.group * t.head_dim;
    for (int d = 0; d < padded; d += kLanes) {
      const int n = t.head_dim - d;
      store_operands(s.q + i * s.q_stride + d, mul(n >= kLanes ? load(q + d)
                                                   : n > 0     ? load_first(q + d, n)
                                                               : zero(),
                                                   scale));
    }
  }
}

// Scores of rows [begin, end) for V vectors of keys. With kPrefetch, for rows that fit one register tile, `ahead` is
// fetched meanwhile: decoding reads every key and value once, from memory.
template <int V, bool kPrefetch>
static void score_vectors(const AttentionScratch& s, int begin, int end, const uint16_t* const* keys,
                          const uint16_t* const* ahead, int first, int pairs) {
  for_row_tiles<V>(begin, end, [&](auto rows, int row) {
    DotTile<decltype(rows)::kCount, V> tile;
    tile.clear();
    tile.template add<kPrefetch>(s.q + row * s.q_stride, s.q_stride, keys, 2 * kKvGroup, pairs, ahead);
    tile.store(s.scores + row * kAttentionTile + first, kAttentionTile);
  });
}

template <int V>
static void score_vectors(const AttentionScratch& s, int begin, int end, const uint16_t* const* keys,
                          const uint16_t* const* ahead, int first, int pairs) {
  if (end - begin <= max_tile_rows(V)) {
    score_vectors<V, true>(s, begin, end, keys, ahead, first, pairs);
  } else {
    score_vectors<V, false>(s, begin, end, keys, ahead, first, pairs);
  }
}

// Weighted values of V vectors of the head dimension from `dim` on, added to the states of rows [begin, end).
template <int V, bool kPrefetch>
static void add_values(const AttentionScratch& s, int begin, int end, const uint16_t* const* groups,
                       const uint16_t* const* ahead, int dim, int padded, int pairs, float* state,
                       int64_t state_stride) {
  for_row_tiles<V>(begin, end, [&](auto rows, int row) {
    DotTile<decltype(rows)::kCount, V> tile;
    float* const out = state + row * state_stride + dim;
    tile.load(out, state_stride);
    for (int group = 0, pair = 0; pair < pairs; ++group, pair += kKvGroup / 2) {
      const uint16_t *vectors[V], *next[V];
      for (int v = 0; v < V; ++v) {
        vectors[v] = groups[group] + (dim + v * kLanes) * 2;
        next[v] = ahead[group] + (dim + v * kLanes) * 2;
      }
      const int n = pairs - pair < kKvGroup / 2 ? pairs - pair : kKvGroup / 2;
      tile.template add<kPrefetch>(s.weights + row * kWeightStride + 2 * pair, kWeightStride, vectors, 2 * padded, n,
                                   next);
    }
    tile.store(out, state_stride);
  });
}

template <int V>
static void add_values(const AttentionScratch& s, int begin, int end, const uint16_t* const* groups,
                       const uint16_t* const* ahead, int dim, int padded, int pairs, float* state,
                       int64_t state_stride) {
  if (end - begin <= max_tile_rows(V)) {
    add_values<V, true>(s, begin, end, groups, ahead, dim, padded, pairs, state, state_stride);
  } else {
    add_values<V, false>(s, begin, end, groups, ahead, dim, padded, pairs, state, state_stride);
  }
}

// One row's softmax step over a tile of which it sees the first `visible` keys, of `computed` whose scores are there.
static void softmax_step(const float* scores, int computed, int visible, Operand* weights, float* state, int padded) {
  const F32 hidden = broadcast(-__builtin_inff());
  F32 score[kScoreVectors];
  F32 largest = hidden;
  for (int v = 0; v < kScoreVectors; ++v) {
    score[v] = v * kLanes < computed ? keep_first(load(scores + v * kLanes), visible - v * kLanes, hidden) : hidden;
    largest = max(largest, score[v]);
  }
  const float before = state[padded], now = max_lanes(largest);
  const float running = now > before ? now : before;
  const float correction = exp(before - running);
  F32 sum[kScoreVectors];
  for (int v = 0; v < kScoreVectors; ++v) {
    const F32 weight = keep_first(exp(sub(score[v], broadcast(running))), visible - v * kLanes, zero());
    store_operands(weights + v * kLanes, weight);
    sum[v] = as_operand(weight);
  }
  for (int n = kScoreVectors / 2; n > 0; n /= 2) {
    for (int v = 0; v < n; ++v) sum[v] = add(sum[v], sum[v + n]);
  }
  state[padded] = running;
  state[padded + 1] = state[padded + 1] * correction + sum_lanes(sum[0]);
  if (correction == 1.0f) return;  // multiplying by it changes nothing
  for (int d = 0; d < padded; d += kLanes) store(state + d, mul(load(state + d), broadcast(correction)));
}

// Where the keys and values of one tile lie.
struct TileGroups {
  const uint16_t* keys[kGroupsPerTile];
  const uint16_t* values[kGroupsPerTile];
  int count;
};

static TileGroups groups_of(const AttentionTask& t, int tile) {
  const int groups_per_block = t.kv.block_size / kKvGroup;
  const int keys = t.end - tile < kAttentionTile ? t.end - tile : kAttentionTile;
  TileGroups groups;
  groups.count = (keys + kKvGroup - 1) / kKvGroup;
  for (int g = 0; g < kGroupsPerTile; ++g) {
    const int position = tile + (g < groups.count ? g : 0) * kKvGroup;  // always a place that may be read
    const int64_t offset = t.kv.block_table[position / t.kv.block_size] * t.kv.block_stride +
                           position / kKvGroup % groups_per_block * t.kv.group_stride;
    groups.keys[g] = static_cast<const uint16_t*>(t.kv.keys) + offset;
    groups.values[g] = static_cast<const uint16_t*>(t.kv.values) + offset;
  }
  return groups;
}

// Scores of one tile; meanwhile its values are fetched.
static void score_tile(const AttentionScratch& s, int begin, int end, const TileGroups& groups, int pairs) {
  if constexpr (kGroupVectors == 1) {
    switch (groups.count) {
      case 4:
        return score_vectors<4>(s, begin, end, groups.keys, groups.values, 0, pairs);
      case 3:
        return score_vectors<3>(s, begin, end, groups.keys, groups.values, 0, pairs);
      case 2:
        return score_vectors<2>(s, begin, end, groups.keys, groups.values, 0, pairs);
      default:
        return score_vectors<1>(s, begin, end, groups.keys, groups.values, 0, pairs);
    }
  }
  for (int g = 0; g < groups.count; ++g) {
    const uint16_t *keys[kGroupVectors], *values[kGroupVectors];
    for (int v = 0; v < kGroupVectors; ++v) {
      keys[v] = groups.keys[g] + v * kLanes * 2;
      values[v] = groups.values[g] + v * kLanes * 2;
    }
    score_vectors<kGroupVectors>(s, begin, end, keys, values, g * kKvGroup, pairs);
  }
}

static void attention(const AttentionTask& t) {
  const AttentionScratch s = make_scratch(t);
  const int padded = padded_head_dim(t.head_dim), all_rows = t.rows * t.group;
  const int64_t state_stride = attention_state_stride(t.head_dim);
  convert_queries(t, s);
  for (int i = 0; i < all_rows; ++i) {
    float* const state = t.state + i * state_stride;
    for (int d = 0; d < padded; d += kLanes) store(state + d, zero());
    state[padded] = -__builtin_inff();
    state[padded + 1] = 0;
  }
  TileGroups groups = groups_of(t, t.begin);
  for (int tile = t.begin; tile < t.end; tile += kAttentionTile) {
    const int keys = t.end - tile < kAttentionTile ? t.end - tile : kAttentionTile;
    const int unseeing =
        tile > t.first_position ? tile - t.first_position : 0;  // query rows before the tile's first key
    const int begin = unseeing * t.group;
    score_tile(s, begin, all_rows, groups, padded / 2);
    for (int i = begin; i < all_rows; ++i) {
      const int seen = t.first_position + i / t.group + 1 - tile;
      softmax_step(s.scores + i * kAttentionTile, groups.count * kKvGroup, seen < keys ? seen : keys,
                   s.weights + i * kWeightStride, t.state + i * state_stride, padded);
    }
    const TileGroups next = groups_of(t, tile + kAttentionTile < t.end ? tile + kAttentionTile : tile);
    constexpr int kVectors = kMaxValueVectors;
    const int pairs = (keys + 1) / 2;
    int dim = 0;
    for (; dim + kVectors * kLanes <= padded; dim += kVectors * kLanes) {
      add_values<kVectors>(s, begin, all_rows, groups.values, next.keys, dim, padded, pairs, t.state, state_stride);
    }
    for (; dim < padded; dim += kHeadDimUnit) {
      add_values<kHeadDimUnit / kLanes>(s, begin, all_rows, groups.values, next.keys, dim, padded, pairs, t.state,
                                        state_stride);
    }
    groups = next;
  }
}

static void attention_merge(const AttentionMergeTask& t) {
  const int padded = padded_head_dim(t.head_dim);
  const int64_t stride = attention_state_stride(t.head_dim);
  for (int i = 0; i < t.rows; ++i) {
    float* const a = t.state + i * stride;
    const float* const b = t.partial + i * stride;
    if (b[padded + 1] == 0) continue;  // saw nothing
    const float largest = b[padded] > a[padded] ? b[padded] : a[padded];
    const float scale_a = exp(a[padded] - largest), scale_b = exp(b[padded] - largest);
    for (int d = 0; d < padded; d += kLanes) {
      store(a + d, fma(load(b + d), broadcast(scale_b), mul(load(a + d), broadcast(scale_a))));
    }
    a[padded] = largest;
    a[padded + 1] = a[padded + 1] * scale_a + b[padded + 1] * scale_b;
  }
}

template <typename Out>
static void attention_finish_to(Out* all_heads, const AttentionFinishTask& t) {
  const int padded = padded_head_dim(t.head_dim);
  for (int head = 0; head < t.group; ++head) {
    const float* const state = t.state + static_cast<int64_t>(head) * attention_state_stride(t.head_dim);
    Out* const out = all_heads + head * t.head_dim;
    const F32 length = broadcast(state[padded + 1]);
    for (int d = 0; d < t.head_dim; d += kLanes) {
      // + 0 turns the negative zeros that a hidden key's 0 · value may or may not have met into positive ones.
      const F32 v = add(div(load(state + d), length), zero());
      const int n = t.head_dim - d;
      n < kLanes ? store_operands_first(out + d, v, n) : store_operands(out + d, v);
    }
  }
}

static void attention_finish(const AttentionFinishTask& t) {
  if (t.out_type == DType::kF32) return attention_finish_to(static_cast<float*>(t.out), t);
  attention_finish_to(static_cast<Operand*>(t.out), t);
}
