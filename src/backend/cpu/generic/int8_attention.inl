// Attention over one partition of an int8 cache (int8_kv_layout.h): for each tile of kAttentionTile keys at absolute
// positions, scores as exact integer products, running maximum and length (online softmax), and the values times
// weights of two 7-bit halves, in exact integers too. Every row goes through the same steps in the same order whichever
// rows share the task, as in generic/attention.inl; keys that a row does not see, and what an earlier owner of the
// memory left behind, are masked or multiplied by zero.
//
// Decoding reads every key and value once, from memory: the first tile of a partition is fetched into the L2 cache at
// once, and each next one while its predecessor is computed, evenly: half of the keys during the scores, the other half
// during the softmax, the values during the values. Fetched in bursts they would wait for the cache's few miss buffers.

// Rounds one row's weights of a tile.
static QWEN_INLINE void round_weights(const F32x16* exact, TileWeights* out) {
  I32x16 magnitudes = magnitude_bits(exact[0]);
  QWEN_UNROLL for (int g = 1; g < kTileGroups; ++g) magnitudes = max(magnitudes, magnitude_bits(exact[g]));
  const uint32_t bits = static_cast<uint32_t>(max_lanes(magnitudes));
  const float largest = from_bits(bits);
  if (bits >= kInfinityBits || largest < kSmallestGroup) {
    __builtin_memset(out->high, 0, sizeof out->high);
    __builtin_memset(out->low, 0, sizeof out->low);
    out->scale = from_bits(bits >= kInfinityBits ? kNanBits : 0);
    return;
  }
  const F32x16 inverse = broadcast16(static_cast<float>(kWeightMax) / largest);
  QWEN_UNROLL for (int g = 0; g < kTileGroups; ++g) {
    const I32x16 q = to_integers(mul(exact[g], inverse));
    store_bytes(out->high + g * kKvGroup, upper_bits<kWeightHalfBits>(q));
    store_bytes(out->low + g * kKvGroup, lower_bits<kWeightHalfBits>(q));
  }
  out->scale = largest * (1.0f / kWeightMax);
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
// largest scores; probabilities, in the place of the scores; rounded weights. The first rows' steps fetch.
static void int8_softmax(const Int8Scratch& s, const Int8Head& head, int begin, const Int8Tile& tile,
                         const Visible& visible, const Int8Tile& next) {
  constexpr int kFetchingRows = 4;
  const int fetching_rows = head.rows - begin < kFetchingRows ? head.rows - begin : kFetchingRows;
  const int64_t lines = head.group_bytes / static_cast<int64_t>(kCacheLine);
  const int64_t lines_of_step = (lines + 2 * fetching_rows - 1) / (2 * fetching_rows);
  const auto fetch_step = [&](int64_t step) {
    const int64_t end = (step + 1) * lines_of_step;
    for (int64_t line = step * lines_of_step; line < (end < lines ? end : lines); ++line) {
      for (int g = kFetchedGroups; g < kTileGroups; ++g) fetch(next.keys[g] + line * static_cast<int64_t>(kCacheLine));
    }
  };
  const F32x16 hidden = broadcast16(-__builtin_inff()), none = broadcast16(0.0f);
  for (int row = begin; row < head.rows; ++row) {
    if (row - begin < fetching_rows) fetch_step(row - begin);
    const float* const scores = s.scores + row * kAttentionTile;
    F32x16 largest = hidden;
    for (int g = 0; g < tile.count; ++g)
      largest = max(largest, keep_first16(load16(scores + g * kKvGroup), visible[row] - g * kKvGroup, hidden));
    float* const state = head.state + row * head.state_stride + head.padded;
    const float before = state[0], now = max_lanes(largest), running = now > before ? now : before;
    state[0] = running;
    s.corrections[row] = before - running;
  }
  for (int row = begin / 16 * 16; row < head.rows; row += 16)
    store16(s.corrections + row, exp(load16(s.corrections + row)));
  for (int row = begin; row < head.rows; ++row) {
    if (row - begin < fetching_rows) fetch_step(fetching_rows + row - begin);
    float* const scores = s.scores + row * kAttentionTile;
    float* const state = head.state + row * head.state_stride + head.padded;
    const F32x16 running = broadcast16(state[0]);
    F32x16 sum[kTileGroups];
    for (int g = 0; g < kTileGroups; ++g) {
      sum[g] = none;
      if (g >= tile.count) continue;
      sum[g] = keep_first16(exp(sub(load16(scores + g * kKvGroup), running)), visible[row] - g * kKvGroup, none);
      store16(scores + g * kKvGroup, sum[g]);
    }
    for (int n = kTileGroups / 2; n > 0; n /= 2) {
      for (int g = 0; g < n; ++g) sum[g] = add(sum[g], sum[g + n]);
    }
    state[1] = state[1] * s.corrections[row] + sum_folded(sum[0]);
  }
  for (int row = begin; row < head.rows; ++row) {
    for (int group = 0; group < head.groups; ++group) {
      F32x16 exact[kTileGroups];
      for (int g = 0; g < kTileGroups; ++g) {
        exact[g] = none;
        if (g >= tile.count) continue;
        const F32x16 scale = load16(head.scales(tile.values[g], group));
        exact[g] = keep_first16(mul(load16(s.scores + row * kAttentionTile + g * kKvGroup), scale),
                                visible[row] - g * kKvGroup, none);
      }
      round_weights(exact, s.weights + row * head.groups + group);
    }
  }
}

static void fetch_groups(const uint8_t* const* groups, int count, int64_t bytes) {
  for (int g = 0; g < count; ++g) {
    for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(kCacheLine)) fetch(groups[g] + at);
  }
}

static void int8_attention(const AttentionTask& t) {
  const Int8Scratch s = make_int8_scratch(t);
  Int8Tile tile = int8_tile(t, t.begin);
  fetch_groups(tile.keys, tile.count, int8_kv_group_bytes(t.head_dim));
  fetch_groups(tile.values, tile.count, int8_kv_group_bytes(t.head_dim));
  const Int8Head head = {.rows = t.rows * t.group,
                         .groups = integer_groups(t.head_dim),
                         .padded = padded_head_dim(t.head_dim),
                         .scale_bytes = int8_kv_scale_bytes(t.head_dim),
                         .group_bytes = int8_kv_group_bytes(t.head_dim),
                         .state_stride = attention_state_stride(t.head_dim),
                         .scale = t.scale,
                         .state = t.state};
  for (int i = 0; i < head.rows; ++i) {
    const float* const q = t.q + i / t.group * t.q_stride + i % t.group * t.head_dim;
    quantize_row({q, s.q + i * head.groups, t.head_dim});
    float* const state = t.state + i * head.state_stride;
    for (int d = 0; d < head.padded; d += kLanes) store(state + d, zero());
    state[head.padded] = -__builtin_inff();
    state[head.padded + 1] = 0;
  }
  for (int first = t.begin; first < t.end; first += kAttentionTile) {
    const Int8Tile next = int8_tile(t, first + kAttentionTile < t.end ? first + kAttentionTile : first);
    const int unseeing = first > t.first_position ? first - t.first_position : 0;  // query rows before the first key
    const int begin = unseeing * t.group, keys = t.end - first < kAttentionTile ? t.end - first : kAttentionTile;
    for (int g = 0; g < kTileGroups; ++g) {
      fetch(next.keys[g]);
      fetch(next.values[g]);
    }
    score_int8(s, head, begin, tile, next);
    int8_softmax(s, head, begin, tile, {t.first_position + 1 - first, t.group, keys}, next);
    add_int8_values(s, head, begin, tile, next);
    tile = next;
  }
}
