// What generic/grouped_matmul.inl needs beside simd16.h and integer_dot.h, for AVX2 and AVX-VNNI.

static inline F32 load_f16(const void* p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p))); }

// What generic/grouped_quantize.inl needs beside simd16.h.
static inline F32x16 load_strided(const float* p) {  // every kGroupedBlock-th
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i index = _mm256_mullo_epi32(lane, _mm256_set1_epi32(kGroupedBlock));
  return {_mm256_i32gather_ps(p, index, sizeof(float)),
          _mm256_i32gather_ps(p + 8 * kGroupedBlock, index, sizeof(float))};
}
static inline F32x16 div(F32x16 a, F32x16 b) { return {div(a.low, b.low), div(a.high, b.high)}; }
static inline F32x16 as_floats(I32x16 bits) { return {_mm256_castsi256_ps(bits.low), _mm256_castsi256_ps(bits.high)}; }
static inline void store16(int32_t* p, I32x16 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), v.high);
}
// a > b ? x : y
static inline F32x16 where_greater(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ))};
}
