// Attention over one partition: for each tile of kKvTile keys at absolute positions, scores, running maximum and length
// (online softmax), weighted values. Every row goes through the same steps in the same order whichever rows and heads
// share the task: rows that a tile lies wholly beyond are left out of it, keys beyond a row get the weight 0.

constexpr int kScoreVectors = kKvTile / kLanes;

struct AttentionScratch {
  Operand* q;        // [kv_heads · rows][q_stride]
  Operand* weights;  // [rows][kWeightStride]
  float* scores;     // [rows][kKvTile]
  int64_t q_stride;
};

// Odd multiples of a cache line, as for activations.
constexpr int64_t kWeightStride = kKvTile + static_cast<int64_t>(kCacheLine / sizeof(Operand));

static AttentionScratch make_scratch(const AttentionTask& t) {
  AttentionScratch s;
  s.q_stride = activation_stride(padded_head_dim(t.head_dim), sizeof(Operand));
  s.q = static_cast<Operand*>(t.scratch);
  s.weights = s.q + kMaxQueryRows * s.q_stride;
  s.scores = reinterpret_cast<float*>(s.weights + kMaxQueryRows * kWeightStride);
  return s;
}

static void convert_queries(const AttentionTask& t, const AttentionScratch& s) {
  const int padded = padded_head_dim(t.head_dim), rows = t.rows * t.group;
  const F32 scale = broadcast(t.scale);
  for (int i = 0; i < t.kv_heads * rows; ++i) {
    const int head = i / rows, row = i % rows / t.group, query_head = head * t.group + i % t.group;
    const float* const q = t.q + row * t.q_stride + query_head * t.head_dim;
    for (int d = 0; d < padded; d += kLanes) {
      const int n = t.head_dim - d;
      store_operands(s.q + i * s.q_stride + d, mul(n >= kLanes ? load(q + d)
                                                   : n > 0     ? load_first(q + d, n)
                                                               : zero(),
                                                   scale));
    }
  }
}

// What one task does for one of its heads.
struct AttentionHead {
  const Operand* q;  // [rows][q_stride]
  float* state;      // [rows][state_stride]
  int64_t state_stride;
  int rows, padded;
};

// Scores of rows from `begin` on for V vectors of keys.
template <int V>
static void score_vectors(const AttentionScratch& s, const AttentionHead& head, int begin, const uint16_t* keys,
                          int first) {
  const uint16_t* vectors[V];
  for (int v = 0; v < V; ++v) vectors[v] = keys + (first + v * kLanes) * 2;
  for_row_tiles<V>(begin, head.rows, [&](auto rows, int row) {
    DotTile<decltype(rows)::kCount, V> tile;
    tile.clear();
    tile.add(head.q + row * s.q_stride, s.q_stride, vectors, 2 * kKvTile, head.padded / 2);
    tile.store(s.scores + row * kKvTile + first, kKvTile);
  });
}

// Scores of the first `keys` of a tile.
static void score_tile(const AttentionScratch& s, const AttentionHead& head, int begin, const uint16_t* tile,
                       int keys) {
  if constexpr (kScoreVectors == 4) {  // all at once: the keys are read forward
    if (keys > 3 * kLanes) return score_vectors<4>(s, head, begin, tile, 0);
    if (keys > 2 * kLanes) return score_vectors<3>(s, head, begin, tile, 0);
    if (keys > kLanes) return score_vectors<2>(s, head, begin, tile, 0);
    return score_vectors<1>(s, head, begin, tile, 0);
  }
  for (int first = 0; first < keys; first += 2 * kLanes) score_vectors<2>(s, head, begin, tile, first);
}

// Weighted values of V vectors of the head dimension from `dim` on, added to the states of the rows from `begin` on.
template <int V>
static void add_values(const AttentionScratch& s, const AttentionHead& head, int begin, const uint16_t* values, int dim,
                       int pairs) {
  const int first = value_slice(dim), width = value_slice_width(head.padded, dim);
  const uint16_t* vectors[V];
  for (int v = 0; v < V; ++v) vectors[v] = values + first * kKvTile + (dim - first + v * kLanes) * 2;
  for_row_tiles<V>(begin, head.rows, [&](auto rows, int row) {
    DotTile<decltype(rows)::kCount, V> tile;
    float* const out = head.state + row * head.state_stride + dim;
    tile.load(out, head.state_stride);
    tile.add(s.weights + row * kWeightStride, kWeightStride, vectors, 2 * width, pairs);
    tile.store(out, head.state_stride);
  });
}

static void add_tile_values(const AttentionScratch& s, const AttentionHead& head, int begin, const uint16_t* values,
                            int pairs) {
  constexpr int kVectors = kMaxValueVectors;
  static_assert(kValueSlice % (kVectors * kLanes) == 0);
  int dim = 0;
  for (; dim + kVectors * kLanes <= head.padded; dim += kVectors * kLanes)
    add_values<kVectors>(s, head, begin, values, dim, pairs);
  for (; dim < head.padded; dim += kHeadDimUnit) add_values<kHeadDimUnit / kLanes>(s, head, begin, values, dim, pairs);
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

static void attention(const AttentionTask& t) {
  const AttentionScratch s = make_scratch(t);
  const int padded = padded_head_dim(t.head_dim), rows = t.rows * t.group;
  const auto head_of = [&](int head) {
    return AttentionHead{.q = s.q + head * rows * s.q_stride,
                         .state = t.state + head * t.head_state_stride,
                         .state_stride = attention_state_stride(t.head_dim),
                         .rows = rows,
                         .padded = padded};
  };
  convert_queries(t, s);
  for (int i = 0; i < t.kv_heads; ++i) {
    const AttentionHead head = head_of(i);
    for (int row = 0; row < rows; ++row) {
      float* const state = head.state + row * head.state_stride;
      for (int d = 0; d < padded; d += kLanes) store(state + d, zero());
      state[padded] = -__builtin_inff();
      state[padded + 1] = 0;
    }
  }
  for (int first = t.begin; first < t.end; first += kKvTile) {
    const int keys = t.end - first < kKvTile ? t.end - first : kKvTile;
    const int unseeing = first > t.first_position ? first - t.first_position : 0;  // query rows before the first key
    const int begin = unseeing * t.group, computed = static_cast<int>(round_up(keys, 16));
    for (int i = 0; i < t.kv_heads; ++i) {
      const AttentionHead head = head_of(i);
      const uint8_t* const tile = kv_tile(t.kv, i, first);
      score_tile(s, head, begin, reinterpret_cast<const uint16_t*>(tile), keys);
      for (int row = begin; row < rows; ++row) {
        const int seen = t.first_position + row / t.group + 1 - first;
        softmax_step(s.scores + row * kKvTile, computed, seen < keys ? seen : keys, s.weights + row * kWeightStride,
                     head.state + row * head.state_stride, padded);
      }
      add_tile_values(s, head, begin, reinterpret_cast<const uint16_t*>(tile + t.kv.values), (keys + 1) / 2);
    }
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
