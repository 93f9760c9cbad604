// Where one token's key and value lie in a paged cache, and how those of an int8 cache are read.

// Of the token's value of dimension `dim` among its tile's numbers, where `together` tokens lie side by side.
inline int64_t value_element(int padded, int position, int dim, int together) {
  const int token = position % kKvTile, first = value_slice(dim), width = value_slice_width(padded, dim);
  return int64_t{first} * kKvTile + token / together * together * width + (dim - first) * together + token % together;
}

struct Int8Key {
  const float* scales;     // [groups of dimensions][kKvTile], from the token's on
  const uint8_t* numbers;  // from the token's on
  Int8Key(const KvView& kv, int head, int head_dim, int position) {
    const uint8_t* const keys = kv_tile(kv, head, position);
    scales = reinterpret_cast<const float*>(keys) + position % kKvTile;
    numbers = keys + int8_kv_scale_bytes(head_dim) + position % kKvTile * 4;
  }
  float scale(int d) const { return scales[d / kIntegerGroup * kKvTile]; }
  int q(int d) const { return int{numbers[d / 4 * 4 * kKvTile + d % 4]} - kKeyOffset; }
  float operator[](int d) const { return static_cast<float>(q(d)) * scale(d); }
};

struct Int8Value {
  const float* scales;     // as above
  const uint8_t* numbers;  // the tile's
  int padded, position;
  Int8Value(const KvView& kv, int head, int head_dim, int at) : padded(padded_head_dim(head_dim)), position(at) {
    const uint8_t* const values = kv_tile(kv, head, position) + kv.values;
    scales = reinterpret_cast<const float*>(values) + position % kKvTile;
    numbers = values + int8_kv_scale_bytes(head_dim);
  }
  float scale(int d) const { return scales[d / kIntegerGroup * kKvTile]; }
  int q(int d) const { return static_cast<int8_t>(numbers[value_element(padded, position, d, 4)]); }
  float operator[](int d) const { return static_cast<float>(q(d)) * scale(d); }
};

// A head's dimensions group by group.
inline void rotate_head(float* head, int head_dim) {
  for (int d = 0; d < head_dim; d += kIntegerGroup) {
    rotate_group(head + d, head_dim - d < kIntegerGroup ? head_dim - d : kIntegerGroup);
  }
}
