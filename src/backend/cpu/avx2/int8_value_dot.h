// The products of values in an int8 cache, by vpmaddubsw. Weights have 7 bits, which leaves room for any value, -128
// too, which stale ones are.

static_assert(2 * ((1 << kWeightHalfBits) - 1) * 128 <= kLargestSum);

static QWEN_INLINE I32 add_products(I32 acc, I32 weights, I32 values) {
  return add_pairs(acc, _mm256_maddubs_epi16(weights, values));
}

// Of 16 registers: 8 sums and what they are made of.
constexpr int kScoreRows = 4;
constexpr int kValueRows = 2, kValueVectors = 2;
