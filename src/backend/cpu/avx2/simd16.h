// The vocabulary that generic/integer_quantize.inl is written in: 16 floats or integers, here two registers. Included
// inside the anonymous namespace of a table, after simd.h.

struct F32x16 {
  __m256 low, high;
};
struct I32x16 {
  __m256i low, high;
};

static inline F32x16 broadcast16(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline I32x16 broadcast16(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
static inline F32x16 load16(const float* p) { return {load(p), load(p + 8)}; }
static inline void store16(float* p, F32x16 v) {
  store(p, v.low);
  store(p + 8, v.high);
}
static inline F32x16 add(F32x16 a, F32x16 b) { return {add(a.low, b.low), add(a.high, b.high)}; }
static inline F32x16 sub(F32x16 a, F32x16 b) { return {sub(a.low, b.low), sub(a.high, b.high)}; }
static inline F32x16 mul(F32x16 a, F32x16 b) { return {mul(a.low, b.low), mul(a.high, b.high)}; }
static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {  // a·b + c
  return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)};
}
static inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) {  // c - a·b
  return {fnma(a.low, b.low, c.low), fnma(a.high, b.high, c.high)};
}
static inline F32x16 max(F32x16 a, F32x16 b) { return {max(a.low, b.low), max(a.high, b.high)}; }
static inline F32x16 min(F32x16 a, F32x16 b) { return {min(a.low, b.low), min(a.high, b.high)}; }
static inline F32x16 round_to_integer(F32x16 v) { return {round_to_integer(v.low), round_to_integer(v.high)}; }

template <int kStride>
static inline F32 butterfly8(F32 v) {
  constexpr int kUpper = kStride == 4 ? 0xf0 : kStride == 2 ? 0xcc : 0xaa;
  const F32 other = kStride == 4   ? _mm256_permute2f128_ps(v, v, 1)
                    : kStride == 2 ? _mm256_permute_ps(v, 0x4e)
                                   : _mm256_permute_ps(v, 0xb1);
  return _mm256_blend_ps(add(v, other), sub(other, v), kUpper);
}

// Sum and difference of the lanes i and i + kStride, in the places of i and i + kStride.
template <int kStride>
static inline F32x16 butterfly(F32x16 v) {
  if constexpr (kStride == 8) return {add(v.low, v.high), sub(v.low, v.high)};
  return {butterfly8<kStride>(v.low), butterfly8<kStride>(v.high)};
}

// Lanes folded in halves: i + 8, then + 4, + 2, + 1.
static inline float sum_folded(F32x16 v) { return sum_lanes(add(v.low, v.high)); }

// The bits of |v|: ordered as the magnitudes are, infinity and NaN above all.
static inline I32x16 magnitude_bits(F32x16 v) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  return {_mm256_and_si256(_mm256_castps_si256(v.low), magnitude),
          _mm256_and_si256(_mm256_castps_si256(v.high), magnitude)};
}
static inline I32x16 max(I32x16 a, I32x16 b) {
  return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)};
}
static inline I32x16 add(I32x16 a, I32x16 b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
static inline int32_t max_lanes(I32x16 v) {
  const __m256i eight = _mm256_max_epi32(v.low, v.high);
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
static inline int32_t sum_lanes(I32x16 v) {
  const __m256i eight = _mm256_add_epi32(v.low, v.high);
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
static inline I32x16 to_integers(F32x16 v) {  // to nearest, ties to even
  return {_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high)};
}
static inline void store_bytes(void* p, I32x16 v) {  // the low ones
  const __m256i byte = _mm256_set1_epi32(255);
  const __m256i words = _mm256_packus_epi32(_mm256_and_si256(v.low, byte), _mm256_and_si256(v.high, byte));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);  // packing works within halves
  _mm_storeu_si128(static_cast<__m128i*>(p),
                   _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
// Lanes where |a| has these bits, lane i at bit i.
static inline uint32_t lanes_equal(I32x16 a, int32_t bits) {
  const __m256i wanted = _mm256_set1_epi32(bits);
  const auto mask = [&](__m256i v) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, wanted))));
  };
  return mask(a.low) | mask(a.high) << 8;
}

// What generic/integer_matmul.inl needs beside simd.h.
using I32 = __m256i;
static inline I32 broadcast_integer(int32_t x) { return _mm256_set1_epi32(x); }
static inline F32 to_float(I32 v) { return _mm256_cvtepi32_ps(v); }
static inline F32 load_bf16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
static inline I32 load_bytes(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
static inline I32 broadcast_four(const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof four);
  return _mm256_set1_epi32(four);
}
