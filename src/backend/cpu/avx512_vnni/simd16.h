// The vocabulary that generic/integer_quantize.inl is written in: 16 floats or integers, here one register. Included
// inside the anonymous namespace of table.cpp.

using F32x16 = __m512;
using I32x16 = __m512i;

static inline F32x16 broadcast16(float x) { return _mm512_set1_ps(x); }
static inline I32x16 broadcast16(int32_t x) { return _mm512_set1_epi32(x); }
static inline F32x16 load16(const float* p) { return _mm512_loadu_ps(p); }
static inline void store16(float* p, F32x16 v) { _mm512_storeu_ps(p, v); }
static inline F32x16 add(F32x16 a, F32x16 b) { return _mm512_add_ps(a, b); }
static inline F32x16 sub(F32x16 a, F32x16 b) { return _mm512_sub_ps(a, b); }
static inline F32x16 mul(F32x16 a, F32x16 b) { return _mm512_mul_ps(a, b); }
static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return _mm512_fmadd_ps(a, b, c); }    // a·b + c
static inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a·b
static inline F32x16 max(F32x16 a, F32x16 b) { return _mm512_max_ps(a, b); }
static inline F32x16 min(F32x16 a, F32x16 b) { return _mm512_min_ps(a, b); }
static inline F32x16 round_to_integer(F32x16 v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// Sum and difference of the lanes i and i + kStride, in the places of i and i + kStride.
template <int kStride>
static inline F32x16 butterfly(F32x16 v) {
  constexpr __mmask16 kUpper = kStride == 8 ? 0xff00 : kStride == 4 ? 0xf0f0 : kStride == 2 ? 0xcccc : 0xaaaa;
  const F32x16 other = kStride == 8   ? _mm512_shuffle_f32x4(v, v, 0x4e)
                       : kStride == 4 ? _mm512_shuffle_f32x4(v, v, 0xb1)
                       : kStride == 2 ? _mm512_permute_ps(v, 0x4e)
                                      : _mm512_permute_ps(v, 0xb1);
  return _mm512_mask_sub_ps(_mm512_add_ps(v, other), kUpper, other, v);
}

// Lanes folded in halves: i + 8, then + 4, + 2, + 1.
static inline float sum_folded(F32x16 v) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// The bits of |v|: ordered as the magnitudes are, infinity and NaN above all.
static inline I32x16 magnitude_bits(F32x16 v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}
static inline I32x16 max(I32x16 a, I32x16 b) { return _mm512_max_epi32(a, b); }
static inline int32_t max_lanes(I32x16 v) { return _mm512_reduce_max_epi32(v); }
static inline I32x16 add(I32x16 a, I32x16 b) { return _mm512_add_epi32(a, b); }
static inline int32_t sum_lanes(I32x16 v) { return _mm512_reduce_add_epi32(v); }
static inline I32x16 to_integers(F32x16 v) { return _mm512_cvtps_epi32(v); }  // to nearest, ties to even
static inline void store_bytes(void* p, I32x16 v) {                           // the low ones
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}
// Lanes where |a| has these bits, lane i at bit i.
static inline uint32_t lanes_equal(I32x16 a, int32_t bits) {
  return _mm512_cmpeq_epi32_mask(a, _mm512_set1_epi32(bits));
}
