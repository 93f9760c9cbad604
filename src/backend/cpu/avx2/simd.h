// The vocabulary that generic/*.inl is written in, for AVX2 with FMA. Included inside the anonymous namespace of
// table.cpp.

using F32 = __m256;
constexpr int kLanes = 8;

static inline F32 zero() { return _mm256_setzero_ps(); }
static inline F32 broadcast(float x) { return _mm256_set1_ps(x); }
static inline F32 load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, F32 v) { _mm256_storeu_ps(p, v); }
static inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// The first n < kLanes lanes; the others load as zero and are not stored.
static inline F32 load_first(const float* p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
static inline void store_first(float* p, F32 v, int n) { _mm256_maskstore_ps(p, first_lanes(n), v); }
// v in the first n lanes (n may be ≤ 0 or ≥ kLanes), `other` in the rest.
static inline F32 keep_first(F32 v, int n, F32 other) {
  return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(first_lanes(n)));
}

static inline F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
static inline F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
static inline F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
static inline F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
static inline F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }    // a·b + c
static inline F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a·b
// b where a or b is a NaN: with the variable operand second, a NaN stays one.
static inline F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
static inline F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
static inline F32 round_to_integer(F32 v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// 2ⁿ for integral n in [-126, 127].
static inline F32 power_of_two(F32 n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
static inline F32 bitwise_xor(F32 a, F32 b) { return _mm256_xor_ps(a, b); }
static inline float first_lane(F32 v) { return _mm256_cvtss_f32(v); }
static inline float sum_lanes(F32 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
static inline float max_lanes(F32 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// What the dot products multiply: activations, queries and probabilities.
using Operand = float;
static inline void store_operands(Operand* p, F32 v) { store(p, v); }
static inline void store_operands_first(Operand* p, F32 v, int n) { store_first(p, v, n); }
// v as store_operands rounds it.
static inline F32 as_operand(F32 v) { return v; }
