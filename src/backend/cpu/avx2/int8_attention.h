// What generic/int8_attention.inl needs beside simd.h, simd16.h and exp.inl, all but the products.

static inline F32x16 exp(F32x16 v) { return {exp(v.low), exp(v.high)}; }
static inline float max_lanes(F32x16 v) { return max_lanes(max(v.low, v.high)); }
// v in the first n lanes (n may be ≤ 0 or ≥ 16), `other` in the rest.
static inline F32x16 keep_first16(F32x16 v, int n, F32x16 other) {
  return {keep_first(v.low, n, other.low), keep_first(v.high, n - 8, other.high)};
}

template <int kBits>
static inline I32x16 upper_bits(I32x16 v) {
  return {_mm256_srli_epi32(v.low, kBits), _mm256_srli_epi32(v.high, kBits)};
}
template <int kBits>
static inline I32x16 lower_bits(I32x16 v) {
  const __m256i mask = _mm256_set1_epi32((1 << kBits) - 1);
  return {_mm256_and_si256(v.low, mask), _mm256_and_si256(v.high, mask)};
}
static inline I32 join_halves(I32 high, I32 low) { return _mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low); }

// GCC would else copy sums that a loop carries, and spill the copies.
static QWEN_INLINE void keep_in_register(I32& v) { asm("" : "+x"(v)); }
static QWEN_INLINE I32 load_signed(const uint8_t* p) { return load_bytes(p); }
