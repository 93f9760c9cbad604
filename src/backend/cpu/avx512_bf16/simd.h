// The vocabulary that generic/*.inl is written in, for AVX-512 with BF16. Included inside the anonymous namespace of
// table.cpp.

using F32 = __m512;
constexpr int kLanes = 16;

static inline F32 zero() { return _mm512_setzero_ps(); }
static inline F32 broadcast(float x) { return _mm512_set1_ps(x); }
static inline F32 load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, F32 v) { _mm512_storeu_ps(p, v); }
static inline __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }
// The first n < kLanes lanes; the others load as zero and are not stored.
static inline F32 load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
static inline void store_first(float* p, F32 v, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
// v in the first n lanes (n may be ≤ 0 or ≥ kLanes), `other` in the rest.
static inline F32 keep_first(F32 v, int n, F32 other) {
  return _mm512_mask_mov_ps(other, static_cast<__mmask16>(_bzhi_u32(0xffff, n < 0 ? 0 : n)), v);
}

static inline F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
static inline F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
static inline F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
static inline F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
static inline F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }    // a·b + c
static inline F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a·b
// b where a or b is a NaN: with the variable operand second, a NaN stays one.
static inline F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
static inline F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
static inline F32 round_to_integer(F32 v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// 2ⁿ for integral n in [-126, 127].
static inline F32 power_of_two(F32 n) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
static inline F32 bitwise_xor(F32 a, F32 b) { return _mm512_xor_ps(a, b); }
static inline float first_lane(F32 v) { return _mm512_cvtss_f32(v); }
static inline float sum_lanes(F32 v) { return _mm512_reduce_add_ps(v); }
static inline float max_lanes(F32 v) { return _mm512_reduce_max_ps(v); }

// What the dot products multiply: activations, queries and probabilities.
using Operand = uint16_t;  // bf16
static inline void store_operands(Operand* p, F32 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}
static inline void store_operands_first(Operand* p, F32 v, int n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), (__m256i)_mm512_cvtneps_pbh(v));
}
static inline void store_operands(float* p, F32 v) { store(p, v); }
static inline void store_operands_first(float* p, F32 v, int n) { store_first(p, v, n); }
// v as store_operands rounds it.
static inline F32 as_operand(F32 v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v)), 16));
}
