// The products of values in an int8 cache: unsigned weights times signed values.

static QWEN_INLINE I32 broadcast_weights(const uint8_t* w) {
  return broadcast_four(reinterpret_cast<const int8_t*>(w));
}

static QWEN_INLINE I32 add_products(I32 acc, I32 weights, I32 values) {
  return _mm256_dpbusd_avx_epi32(acc, weights, values);
}

// Of 16 registers: 12 sums and what they are made of.
constexpr int kScoreRows = 6;
constexpr int kValueRows = 6, kValueVectors = 2;
