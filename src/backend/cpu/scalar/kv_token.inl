// Where one token's key and value lie in a paged cache, and how those of an int8 cache are read.

template <typename T>
const T* kv_group(const KvView& kv, const void* base, int position) {
  const int64_t block = kv.block_table[position / kv.block_size];
  return static_cast<const T*>(base) + block * kv.block_stride +
         position / kKvGroup % (kv.block_size / kKvGroup) * kv.group_stride;
}

struct Int8Key {
  const float* scales;     // [groups of dimensions][kKvGroup], from the token's on
  const uint8_t* numbers;  // from the token's on
  Int8Key(const KvView& kv, int head_dim, int position) {
    const uint8_t* const group = kv_group<uint8_t>(kv, kv.keys, position);
    scales = reinterpret_cast<const float*>(group) + position % kKvGroup;
    numbers = group + int8_kv_scale_bytes(head_dim) + position % kKvGroup * 4;
  }
  float scale(int d) const { return scales[d / kIntegerGroup * kKvGroup]; }
  int q(int d) const { return int{numbers[d / 4 * 4 * kKvGroup + d % 4]} - kKeyOffset; }
  float operator[](int d) const { return static_cast<float>(q(d)) * scale(d); }
};

struct Int8Value {
  const float* scales;    // as above
  const int8_t* numbers;  // from the token's on
  Int8Value(const KvView& kv, int head_dim, int position) {
    const int token = position % kKvGroup;
    const int8_t* const group = kv_group<int8_t>(kv, kv.values, position);
    scales = reinterpret_cast<const float*>(group) + token;
    numbers = group + int8_kv_scale_bytes(head_dim) + token / 4 * 4 * padded_head_dim(head_dim) + token % 4;
  }
  float scale(int d) const { return scales[d / kIntegerGroup * kKvGroup]; }
  int q(int d) const { return numbers[4 * d]; }
  float operator[](int d) const { return static_cast<float>(q(d)) * scale(d); }
};

// A head's dimensions group by group.
inline void rotate_head(float* head, int head_dim) {
  for (int d = 0; d < head_dim; d += kIntegerGroup) {
    rotate_group(head + d, head_dim - d < kIntegerGroup ? head_dim - d : kIntegerGroup);
  }
}
