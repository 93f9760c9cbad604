// What generic/int8_attention.inl needs beside simd.h, simd16.h and exp.inl, all but the products.

static inline F32x16 exp(F32x16 v) { return {exp(v.low), exp(v.high)}; }
static inline float max_lanes(F32x16 v) { return max_lanes(max(v.low, v.high)); }
// v in the first n lanes (n may be ≤ 0 or ≥ 16), `other` in the rest.
static inline F32x16 keep_first16(F32x16 v, int n, F32x16 other) {
  return {keep_first(v.low, n, other.low), keep_first(v.high, n - 8, other.high)};
}

// GCC would else copy sums that a loop carries, and spill the copies.
static QWEN_INLINE void keep_in_register(I32& v) { asm("" : "+x"(v)); }
static QWEN_INLINE I32 load_signed(const uint8_t* p) { return load_bytes(p); }
