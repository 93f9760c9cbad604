// What generic/exp.inl and generic/int8_attention.inl need beside simd16.h and integer_dot.h.

// 2ⁿ for integral n in [-126, 127].
static inline F32 power_of_two(F32 n) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
static inline float first_lane(F32 v) { return _mm512_cvtss_f32(v); }
static inline float max_lanes(F32 v) { return _mm512_reduce_max_ps(v); }
// v in the first n lanes (n may be ≤ 0 or ≥ 16, below 256), `other` in the rest.
static inline F32x16 keep_first16(F32x16 v, int n, F32x16 other) {
  return _mm512_mask_mov_ps(other, static_cast<__mmask16>(_bzhi_u32(0xffff, n < 0 ? 0 : n)), v);
}

template <int kBits>
static inline I32x16 upper_bits(I32x16 v) {
  return _mm512_srli_epi32(v, kBits);
}
template <int kBits>
static inline I32x16 lower_bits(I32x16 v) {
  return _mm512_and_si512(v, _mm512_set1_epi32((1 << kBits) - 1));
}
static inline I32 join_halves(I32 high, I32 low) { return _mm512_add_epi32(_mm512_slli_epi32(high, kLowBits), low); }

// GCC would else copy sums that a loop carries, and spill the copies.
static QWEN_INLINE void keep_in_register(I32& v) { asm("" : "+v"(v)); }
static QWEN_INLINE I32 load_signed(const uint8_t* p) { return _mm512_loadu_si512(p); }
static QWEN_INLINE I32 broadcast_weights(const uint8_t* w) {
  return broadcast_four(reinterpret_cast<const int8_t*>(w));
}
// acc + Σ of 4 products of unsigned weights and signed values.
static QWEN_INLINE I32 add_products(I32 acc, I32 weights, I32 values) {
  return _mm512_dpbusd_epi32(acc, weights, values);
}

// Of 32 registers: 24 sums and what they are made of.
constexpr int kScoreRows = 6;  // of kKvTile keys
constexpr int kValueRows = 6, kValueVectors = 4;
