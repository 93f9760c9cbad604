// Attention over one partition of an int8 cache (int8_kv_layout.h): for each tile of kKvTile keys at absolute
// positions, scores as exact integer products, running maximum and length (online softmax), and the values times
// rounded weights, in exact integers too. Every row goes through the same steps in the same order whichever rows and
// heads share the task, as in generic/attention.inl; keys that a row does not see, and what an earlier owner of the
// memory left behind, are masked or multiplied by zero.

constexpr int kTileGroups = kKvTile / 16;  // of F32x16

// Rounds one row's weights of a tile.
static QWEN_INLINE void round_weights(const F32x16* exact, bool fine, TileWeights* out) {
  I32x16 magnitudes = magnitude_bits(exact[0]);
  QWEN_UNROLL for (int g = 1; g < kTileGroups; ++g) magnitudes = max(magnitudes, magnitude_bits(exact[g]));
  const uint32_t bits = static_cast<uint32_t>(max_lanes(magnitudes));
  const float largest = from_bits(bits);
  if (bits >= kInfinityBits || largest < kSmallestGroup) {
    __builtin_memset(out->high, 0, sizeof out->high);
    __builtin_memset(out->low, 0, sizeof out->low);
    out->fine = 0;
    out->scale = from_bits(bits >= kInfinityBits ? kNanBits : 0);
    return;
  }
  out->fine = fine;
  if (!fine) {
    const F32x16 inverse = broadcast16(static_cast<float>(kCoarseSteps) / largest);
    QWEN_UNROLL for (int g = 0; g < kTileGroups; ++g)
        store_bytes(out->high + g * 16, to_integers(mul(exact[g], inverse)));
    __builtin_memset(out->low, 0, sizeof out->low);
    out->scale = largest * (1.0f / kCoarseSteps / (1 << kLowBits));
    return;
  }
  const F32x16 inverse = broadcast16(static_cast<float>(kFineSteps) / largest);
  QWEN_UNROLL for (int g = 0; g < kTileGroups; ++g) {
    const I32x16 q = to_integers(mul(exact[g], inverse));
    store_bytes(out->high + g * 16, upper_bits<kLowBits>(q));
    store_bytes(out->low + g * 16, lower_bits<kLowBits>(q));
  }
  out->scale = largest * (1.0f / kFineSteps);
}

// Which keys of a tile the rows see.
struct Visible {
  int seen;   // by the first query row: a negative number where the tile lies beyond it
  int group;  // rows of a query
  int keys;   // of the tile

  int operator[](int row) const {
    const int n = seen + row / group;
    return n < keys ? n : keys;
  }
};

// The softmax step of rows [begin, end), stage by stage, so that what one row waits for is hidden by the others:
// largest scores; probabilities, in the place of the scores; rounded weights, fine where one of them is a large share.
// Where every row sees the whole tile, nothing is masked.
template <bool kMasked>
static void int8_softmax(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile,
                         const Visible& visible) {
  const F32x16 hidden = broadcast16(-__builtin_inff()), none = broadcast16(0.0f);
  const int count = kMasked ? tile.count : kKvTile;
  const auto keep = [&](F32x16 v, int row, int key, F32x16 other) QWEN_INLINE_LAMBDA {
    if constexpr (!kMasked) return v;
    return keep_first16(v, visible[row] - key, other);
  };
  for (int row = begin; row < head.rows; ++row) {
    const float* const scores = s.scores + row * kKvTile;
    F32x16 largest = hidden;
    for (int key = 0; key < count; key += 16) largest = max(largest, keep(load16(scores + key), row, key, hidden));
    float* const state = head.state + row * head.state_stride + head.padded;
    const float before = state[0], now = max_lanes(largest), running = now > before ? now : before;
    state[0] = running;
    s.corrections[row] = before - running;
    s.largest[row] = now - running;
  }
  for (int row = begin / 16 * 16; row < head.rows; row += 16)
    store16(s.corrections + row, exp(load16(s.corrections + row)));
  for (int row = begin / 16 * 16; row < head.rows; row += 16) store16(s.largest + row, exp(load16(s.largest + row)));
  for (int row = begin; row < head.rows; ++row) {
    float* const scores = s.scores + row * kKvTile;
    float* const state = head.state + row * head.state_stride + head.padded;
    const F32x16 running = broadcast16(state[0]);
    F32x16 sum[kTileGroups];
    for (int g = 0; g < kTileGroups; ++g) {
      sum[g] = none;
      if (16 * g >= count) continue;
      sum[g] = keep(exp(sub(load16(scores + 16 * g), running)), row, 16 * g, none);
      store16(scores + 16 * g, sum[g]);
    }
    for (int n = kTileGroups / 2; n > 0; n /= 2) {
      for (int g = 0; g < n; ++g) sum[g] = add(sum[g], sum[g + n]);
    }
    state[1] = state[1] * s.corrections[row] + sum_folded(sum[0]);
  }
  for (int row = begin; row < head.rows; ++row) {
    const bool fine = s.largest[row] > kFineShare * head.state[row * head.state_stride + head.padded + 1];
    for (int group = 0; group < head.groups; ++group) {
      const float* const scales = Int8Tile::scales(tile.values, group);
      F32x16 exact[kTileGroups];
      for (int g = 0; g < kTileGroups; ++g) {
        exact[g] = none;
        if (16 * g >= count) continue;
        exact[g] = keep(mul(load16(s.scores + row * kKvTile + 16 * g), load16(scales + 16 * g)), row, 16 * g, none);
      }
      round_weights(exact, fine, s.weights + row * head.groups + group);
    }
  }
}

static void int8_attention(const AttentionTask& t) {
  const Int8Scratch s = make_int8_scratch(t);
  const int rows = t.rows * t.group, groups = integer_groups(t.head_dim), padded = padded_head_dim(t.head_dim);
  const auto head_of = [&](int head) {
    return Int8Head{.q = s.q + head * rows * groups,
                    .state = t.state + head * t.head_state_stride,
                    .rows = rows,
                    .groups = groups,
                    .padded = padded,
                    .scale_bytes = int8_kv_scale_bytes(t.head_dim),
                    .state_stride = attention_state_stride(t.head_dim),
                    .scale = t.scale};
  };
  for (int i = 0; i < t.kv_heads * rows; ++i) {
    const int index = i / rows, row = i % rows, query_head = index * t.group + row % t.group;
    quantize_row({t.q + row / t.group * t.q_stride + query_head * t.head_dim, s.q + i * groups, t.head_dim});
    const Int8Head head = head_of(index);
    float* const state = head.state + row * head.state_stride;
    for (int d = 0; d < padded; d += kLanes) store(state + d, zero());
    state[padded] = -__builtin_inff();
    state[padded + 1] = 0;
  }
  for (int first = t.begin; first < t.end; first += kKvTile) {
    const int unseeing = first > t.first_position ? first - t.first_position : 0;  // query rows before the first key
    const int begin = unseeing * t.group, keys = t.end - first < kKvTile ? t.end - first : kKvTile;
    for (int i = 0; i < t.kv_heads; ++i) {
      const Int8Head head = head_of(i);
      const uint8_t* const numbers = kv_tile(t.kv, i, first);
      const Int8Tile tile{numbers, numbers + t.kv.values, static_cast<int>(round_up(keys, 16))};
      score_int8(s, head, begin, tile);
      const Visible visible{t.first_position + 1 - first, t.group, keys};
      if (visible[begin] == kKvTile)
        int8_softmax<false>(s, head, begin, tile, visible);
      else
        int8_softmax<true>(s, head, begin, tile, visible);
      add_int8_values(s, head, begin, tile);
    }
  }
}
