// Attention over one partition of an int8 cache in integers (int8_kv_layout.h), the textbook way: all scores, their
// maximum, the exponentials, and tile by tile the values weighted with rounded weights.

// Rounds one tile's weights in place to multiples of the scale that it returns.
float round_weights(float* weights, int count, int steps) {
  const float largest = largest_magnitude(weights, count);
  if (std::isinf(largest) || largest < kSmallestGroup) {
    for (int i = 0; i < count; ++i) weights[i] = 0;
    return std::isinf(largest) ? std::numeric_limits<float>::quiet_NaN() : 0;
  }
  const float inverse = static_cast<float>(steps) / largest;
  for (int i = 0; i < count; ++i) weights[i] = std::nearbyint(weights[i] * inverse);
  return largest / static_cast<float>(steps);
}

float int8_score(const Int8Activations* q, const Int8Key& key, int head_dim, float scale) {
  float score = 0;
  for (int first = 0; first < head_dim; first += kIntegerGroup) {
    const Int8Activations& group = q[first / kIntegerGroup];
    int32_t product = 0;
    for (int d = first; d < std::min(head_dim, first + kIntegerGroup); ++d) product += group.q[d - first] * key.q(d);
    score = std::fma(static_cast<float>(product), key.scale(first) * (group.scale * scale), score);
  }
  return score;
}

// Adds the values at [begin, end), a tile or what a row sees of it.
// `before`: the sum of the probabilities before them.
void add_int8_values(const AttentionTask& t, int head, const float* probabilities, float before, int begin, int end,
                     float* state) {
  const float largest = *std::max_element(probabilities, probabilities + (end - begin));
  const float given = std::accumulate(probabilities, probabilities + (end - begin), before);
  const int steps = largest > kFineShare * given ? kFineSteps : kCoarseSteps;
  for (int first = 0; first < t.head_dim; first += kIntegerGroup) {
    const int last = std::min(t.head_dim, first + kIntegerGroup);
    float weights[kKvTile];
    for (int i = begin; i < end; ++i)
      weights[i - begin] = probabilities[i - begin] * Int8Value(t.kv, head, t.head_dim, i).scale(first);
    const float scale = round_weights(weights, end - begin, steps);
    int32_t sums[kIntegerGroup] = {};
    for (int i = begin; i < end; ++i) {
      const Int8Value value(t.kv, head, t.head_dim, i);
      for (int d = first; d < last; ++d) sums[d - first] += static_cast<int>(weights[i - begin]) * value.q(d);
    }
    for (int d = first; d < last; ++d) state[d] = std::fma(static_cast<float>(sums[d - first]), scale, state[d]);
  }
}

void int8_attention(const AttentionTask& t, int head) {
  const int padded = padded_head_dim(t.head_dim), state_stride = attention_state_stride(t.head_dim);
  float scores[kPartition];
  Int8Activations q[kMaxHeadGroups];
  for (int i = 0; i < t.rows * t.group; ++i) {
    const int row = i / t.group, end = std::min(t.end, t.first_position + row + 1);
    quantize_row({t.q + row * t.q_stride + (head * t.group + i % t.group) * t.head_dim, q, t.head_dim});
    float* const state = t.state + head * t.head_state_stride + static_cast<int64_t>(i) * state_stride;
    for (int d = 0; d < state_stride; ++d) state[d] = 0;
    float largest = -std::numeric_limits<float>::infinity();
    for (int position = t.begin; position < end; ++position) {
      const float score = int8_score(q, Int8Key(t.kv, head, t.head_dim, position), t.head_dim, t.scale);
      scores[position - t.begin] = score;
      largest = score > largest || score != score ? score : largest;
    }
    float length = 0;
    for (int position = t.begin; position < end; ++position) {
      float& score = scores[position - t.begin];
      score = std::exp(score - largest);
      length += score;
    }
    for (int tile = t.begin; tile < end; tile += kKvTile) {
      const float before = std::accumulate(scores, scores + (tile - t.begin), 0.0f);
      add_int8_values(t, head, scores + (tile - t.begin), before, tile, std::min(end, tile + kKvTile), state);
    }
    state[padded] = largest;
    state[padded + 1] = length;
  }
}

void int8_attention(const AttentionTask& t) {
  for (int head = 0; head < t.kv_heads; ++head) int8_attention(t, head);
}
