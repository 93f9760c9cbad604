// Attention over one partition, the textbook way: all scores, their maximum, the exponentials, the weighted values.
// Fast kernels do the same in one pass over tiles with a running maximum.

template <typename T>
struct PlainKey {
  const T* numbers;
  PlainKey(const KvView& kv, int head, int, int position)
      : numbers(reinterpret_cast<const T*>(kv_tile(kv, head, position)) + position % kKvTile * 2) {}
  float operator[](int d) const { return to_float(numbers[static_cast<int64_t>(d / 2) * 2 * kKvTile + d % 2]); }
};
template <typename T>
struct PlainValue {
  const T* numbers;
  int padded, position;
  PlainValue(const KvView& kv, int head, int head_dim, int at)
      : numbers(reinterpret_cast<const T*>(kv_tile(kv, head, at) + kv.values)),
        padded(padded_head_dim(head_dim)),
        position(at) {}
  float operator[](int d) const { return to_float(numbers[value_element(padded, position, d, 2)]); }
};

template <typename Key, typename Value>
void attention_of(const AttentionTask& t, int head) {
  const int padded = padded_head_dim(t.head_dim), state_stride = attention_state_stride(t.head_dim);
  float scores[kPartition], q[kMaxHeadDim];
  for (int i = 0; i < t.rows * t.group; ++i) {
    const int row = i / t.group;
    const int end = t.end < t.first_position + row + 1 ? t.end : t.first_position + row + 1;
    std::memcpy(q, t.q + row * t.q_stride + (head * t.group + i % t.group) * t.head_dim,
                static_cast<size_t>(t.head_dim) * sizeof(float));
    if (t.kv_type == DType::kI8) rotate_head(q, t.head_dim);
    float* state = t.state + head * t.head_state_stride + static_cast<int64_t>(i) * state_stride;
    for (int d = 0; d < state_stride; ++d) state[d] = 0;
    float largest = -std::numeric_limits<float>::infinity();
    for (int position = t.begin; position < end; ++position) {
      const Key key(t.kv, head, t.head_dim, position);
      double sum = 0;
      for (int d = 0; d < t.head_dim; ++d) sum += static_cast<double>(q[d]) * key[d];
      const float score = static_cast<float>(sum) * t.scale;
      scores[position - t.begin] = score;
      largest = score > largest || score != score ? score : largest;
    }
    float length = 0;
    for (int position = t.begin; position < end; ++position) {
      const Value value(t.kv, head, t.head_dim, position);
      const float weight = std::exp(scores[position - t.begin] - largest);
      length += weight;
      for (int d = 0; d < t.head_dim; ++d) state[d] += weight * value[d];
    }
    state[padded] = largest;
    state[padded + 1] = length;
  }
}

// Of an int8 cache the numbers that it stands for.
void attention(const AttentionTask& t) {
  for (int head = 0; head < t.kv_heads; ++head) {
    if (t.kv_type == DType::kI8)
      attention_of<Int8Key, Int8Value>(t, head);
    else if (t.kv_type == DType::kBF16)
      attention_of<PlainKey<Bf16>, PlainValue<Bf16>>(t, head);
    else
      attention_of<PlainKey<float>, PlainValue<float>>(t, head);
  }
}

void attention_merge(const AttentionMergeTask& t) {
  const int padded = padded_head_dim(t.head_dim), stride = attention_state_stride(t.head_dim);
  for (int i = 0; i < t.rows; ++i) {
    float* a = t.state + static_cast<int64_t>(i) * stride;
    const float* b = t.partial + static_cast<int64_t>(i) * stride;
    if (b[padded + 1] == 0) continue;  // saw nothing
    const float largest = b[padded] > a[padded] ? b[padded] : a[padded];
    const float scale_a = std::exp(a[padded] - largest), scale_b = std::exp(b[padded] - largest);
    for (int d = 0; d < padded; ++d) a[d] = a[d] * scale_a + b[d] * scale_b;
    a[padded] = largest;
    a[padded + 1] = a[padded + 1] * scale_a + b[padded + 1] * scale_b;
  }
}

void attention_finish(const AttentionFinishTask& t) {
  const int padded = padded_head_dim(t.head_dim), stride = attention_state_stride(t.head_dim);
  for (int head = 0; head < t.group; ++head) {
    const float* state = t.state + static_cast<int64_t>(head) * stride;
    for (int d = 0; d < t.head_dim; ++d) {
      store(t.out, t.out_type, head * t.head_dim + d, state[d] / state[padded + 1]);
    }
  }
}
