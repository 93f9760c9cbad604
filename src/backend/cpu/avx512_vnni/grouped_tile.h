// What generic/grouped_matmul.inl needs beside integer_dot.h.

static inline F32 load_f16(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}

// What generic/grouped_quantize.inl needs beside simd16.h.
static inline F32x16 load_strided(const float* p) {  // every kGroupedBlock-th
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_i32gather_ps(_mm512_mullo_epi32(lane, _mm512_set1_epi32(kGroupedBlock)), p, sizeof(float));
}
static inline F32x16 div(F32x16 a, F32x16 b) { return _mm512_div_ps(a, b); }
static inline F32x16 as_floats(I32x16 bits) { return _mm512_castsi512_ps(bits); }
static inline void store16(int32_t* p, I32x16 v) { _mm512_storeu_si512(p, v); }
// a > b ? x : y
static inline F32x16 where_greater(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
