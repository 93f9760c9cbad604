// Rotation and rounding of groups as quant/integer_format.h has them, 16 lanes at a time: the scalar kernels'
// operations in the scalar kernels' order, so that the bits are theirs.

constexpr int kGroupVectors = kIntegerGroup / 16;

static inline float from_bits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

constexpr uint32_t kInfinityBits = 0x7f800000u, kNanBits = 0x7fc00000u;

static inline float round_to_bf16(float finite) {
  const uint32_t bits = bits_of(finite);
  return from_bits((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u);
}

template <int N>
struct Vectors {
  F32x16 v[N];
};
using Group = Vectors<kGroupVectors>;

static QWEN_INLINE void rotate_group(Group& g) {
  QWEN_UNROLL for (int stride = kGroupVectors / 2; stride > 0; stride /= 2) {
    QWEN_UNROLL for (int i = 0; i < kGroupVectors; ++i) {
      if ((i & stride) != 0) continue;
      const F32x16 a = g.v[i], b = g.v[i + stride];
      g.v[i] = add(a, b);
      g.v[i + stride] = sub(a, b);
    }
  }
  const F32x16 norm = broadcast16(1.0f / __builtin_sqrtf(float{kIntegerGroup}));
  QWEN_UNROLL for (F32x16& v : g.v) v = mul(butterfly<1>(butterfly<2>(butterfly<4>(butterfly<8>(v)))), norm);
}

static void rotate_block(float* v, int size) {
  for (int stride = size / 2; stride > 0; stride /= 2) {
    for (int i = 0; i < size; ++i) {
      if ((i & stride) != 0) continue;
      const float a = v[i], b = v[i + stride];
      v[i] = a + b;
      v[i + stride] = a - b;
    }
  }
  const float norm = 1.0f / __builtin_sqrtf(static_cast<float>(size));
  for (int i = 0; i < size; ++i) v[i] *= norm;
}

template <int N = kGroupVectors>
static QWEN_INLINE Vectors<N> load_group(const float* p) {
  Vectors<N> g;
  QWEN_UNROLL for (int i = 0; i < N; ++i) g.v[i] = load16(p + 16 * i);
  return g;
}

static QWEN_INLINE void store_group(float* p, const Group& g) {
  QWEN_UNROLL for (int i = 0; i < kGroupVectors; ++i) store16(p + 16 * i, g.v[i]);
}

static void rotate(float* values, int count) {
  if (count == kIntegerGroup) {
    Group g = load_group(values);
    rotate_group(g);
    return store_group(values, g);
  }
  for (int size = kIntegerGroup / 2; size > 0; size /= 2) {
    if ((count & size) == 0) continue;
    rotate_block(values, size);
    values += size;
  }
}

template <int N>
static QWEN_INLINE uint32_t largest_bits(const Vectors<N>& g) {
  I32x16 largest = magnitude_bits(g.v[0]);
  QWEN_UNROLL for (int i = 1; i < N; ++i) largest = max(largest, magnitude_bits(g.v[i]));
  return static_cast<uint32_t>(max_lanes(largest));
}

static QWEN_INLINE void quantize_group(const Group& g, Int8Activations* out) {
  const uint32_t bits = largest_bits(g);
  const float largest = from_bits(bits);
  float scale = largest * (1.0f / kInt8Max), inverse = static_cast<float>(kInt8Max) / largest;
  Group kept = g;
  if (bits >= kInfinityBits || largest < kSmallestGroup) {
    scale = from_bits(bits >= kInfinityBits ? kNanBits : 0);
    inverse = 0;
    for (F32x16& v : kept.v) v = broadcast16(0.0f);
  }
  I32x16 sums[2] = {broadcast16(int32_t{0}), broadcast16(int32_t{0})};
  QWEN_UNROLL for (int i = 0; i < kGroupVectors; ++i) {
    const I32x16 q = to_integers(mul(kept.v[i], broadcast16(inverse)));
    store_bytes(out->q + 16 * i, q);
    sums[i / (kGroupVectors / 2)] = add(sums[i / (kGroupVectors / 2)], q);
  }
  const int32_t first = sum_lanes(sums[0]), second = sum_lanes(sums[1]);
  out->scale = scale;
  out->minus_sum = -(first + second);
  out->minus_half_sums[0] = -first;
  out->minus_half_sums[1] = -second;
}

static void quantize_row(const QuantizeRowTask& t) {
  const int whole = t.cols / kIntegerGroup, rest = t.cols % kIntegerGroup;
  for (int group = 0; group < whole; ++group) {
    Group g = load_group(t.in + group * kIntegerGroup);
    rotate_group(g);
    quantize_group(g, t.out + group);
  }
  if (rest == 0) return;
  alignas(64) float last[kIntegerGroup] = {};
  __builtin_memcpy(last, t.in + whole * kIntegerGroup, static_cast<size_t>(rest) * sizeof(float));
  rotate(last, rest);
  quantize_group(load_group(last), t.out + whole);
}

static QWEN_INLINE F32x16 int4_values(F32x16 v, F32x16 inverse) {
  return min(max(round_to_integer(mul(v, inverse)), broadcast16(float{kInt4Min})), broadcast16(float{kInt4Max}));
}

template <int N>
static QWEN_INLINE float int4_error(const Vectors<N>& g, float scale) {
  const F32x16 inverse = broadcast16(1.0f / scale), s = broadcast16(scale);
  F32x16 error = broadcast16(0.0f);
  QWEN_UNROLL for (int i = 0; i < N; ++i) {
    const F32x16 difference = fnma(s, int4_values(g.v[i], inverse), g.v[i]);
    error = fma(difference, difference, error);
  }
  return sum_folded(error);
}

template <int N>
static QWEN_INLINE float least_squares_scale(const Vectors<N>& g, float scale) {
  const F32x16 inverse = broadcast16(1.0f / scale);
  F32x16 product = broadcast16(0.0f), square = broadcast16(0.0f);
  QWEN_UNROLL for (int i = 0; i < N; ++i) {
    const F32x16 q = int4_values(g.v[i], inverse);
    product = fma(g.v[i], q, product);
    square = fma(q, q, square);
  }
  return sum_folded(product) / sum_folded(square);
}

// The first value of the largest magnitude is put at the longer, negative end.
template <int N>
static float int4_scale(const float* values, const Vectors<N>& g, uint32_t largest) {
  float signed_peak = -from_bits(largest);
  for (int i = 0; i < N; ++i) {
    const uint32_t lanes = lanes_equal(magnitude_bits(g.v[i]), static_cast<int32_t>(largest));
    if (lanes == 0) continue;
    if (values[16 * i + __builtin_ctz(lanes)] < 0) signed_peak = -signed_peak;
    break;
  }
  float best = 0, best_error = __builtin_inff();
  const auto consider = [&](float unrounded) {
    const float scale = round_to_bf16(unrounded), error = int4_error(g, scale);
    if (!(error < best_error)) return false;
    best = scale;
    best_error = error;
    return true;
  };
  for (int i = 0; i < kInt4Candidates; ++i) consider(signed_peak / (kInt4First + static_cast<float>(i) * kInt4Step));
  for (int i = 0; i < kInt4Refinements && consider(least_squares_scale(g, best)); ++i) {
  }
  return best;
}

// 16·N rotated weights that share a scale. The search for int4's squares them: it is made with the largest magnitude
// between 1 and 4, by a power of two, which is exact both ways.
template <int N>
static void quantize_part(const float* values, int bits, uint8_t* q, uint16_t* scale_out) {
  const int offset = bits == 8 ? kInt8Offset : kInt4Offset;
  Vectors<N> g = load_group<N>(values);
  uint32_t largest = largest_bits(g);
  if (largest >= kInfinityBits || from_bits(largest) < kSmallestGroup) {
    __builtin_memset(q, offset, 16 * N);
    *scale_out = static_cast<uint16_t>((largest >= kInfinityBits ? kNanBits : 0) >> 16);
    return;
  }
  constexpr uint32_t kOne = 127, kLast = 253;  // biased exponents: of 1, of the reciprocal of the least power of two
  const uint32_t exponent = largest >> 23, up = bits == 8 ? kOne : exponent < kLast ? exponent : kLast;
  const float down = from_bits((2 * kOne - up) << 23);
  QWEN_UNROLL for (F32x16& v : g.v) v = mul(v, broadcast16(down));
  largest = bits_of(from_bits(largest) * down);
  const float scale =
      bits == 8 ? round_to_bf16(from_bits(largest) * (1.0f / kInt8Max)) : int4_scale(values, g, largest);
  *scale_out = static_cast<uint16_t>(bits_of(scale * from_bits(up << 23)) >> 16);
  const F32x16 inverse = broadcast16(1.0f / scale);
  const F32x16 low = broadcast16(bits == 8 ? -float{kInt8Max} : float{kInt4Min});
  const F32x16 high = broadcast16(bits == 8 ? float{kInt8Max} : float{kInt4Max});
  for (int i = 0; i < N; ++i) {
    const F32x16 rounded = min(max(round_to_integer(mul(g.v[i], inverse)), low), high);
    store_bytes(q + 16 * i, add(to_integers(rounded), broadcast16(int32_t{offset})));
  }
}

static void quantize_weights(const QuantizeWeightsTask& t) {
  rotate(t.values, t.count);
  if (t.group_size == kIntegerGroup) return quantize_part<kGroupVectors>(t.values, t.bits, t.q, t.scale);
  quantize_part<kGroupVectors / 2>(t.values, t.bits, t.q, t.scale);
  quantize_part<kGroupVectors / 2>(t.values + kHalfGroup, t.bits, t.q + kHalfGroup, t.scale + 1);
}
