// The products of values in an int8 cache: 7-bit weights times signed values.

static QWEN_INLINE I32 add_products(I32 acc, I32 weights, I32 values) {
  return _mm256_dpbusd_avx_epi32(acc, weights, values);
}

// Of 16 registers: 12 sums and what they are made of.
constexpr int kScoreRows = 6;
constexpr int kValueRows = 3, kValueVectors = 2;
