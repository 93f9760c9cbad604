// The products of values in an int8 cache, by vpmaddubsw, whose 16-bit sums have no room for 8-bit weights: the upper
// seven bits and the last one are multiplied apart. Values may be -128, which stale ones are.

static_assert(kCoarseSteps == 255 && 2 * (kCoarseSteps >> 1) * 128 <= kLargestSum);

struct ValueWeights {
  I32 upper, last;
};

static QWEN_INLINE ValueWeights broadcast_weights(const uint8_t* w) {
  const I32 four = broadcast_four(reinterpret_cast<const int8_t*>(w));
  return {_mm256_and_si256(_mm256_srli_epi16(four, 1), _mm256_set1_epi8(127)),
          _mm256_and_si256(four, _mm256_set1_epi8(1))};
}

static QWEN_INLINE I32 add_products(I32 acc, const ValueWeights& weights, I32 values) {
  const __m256i upper = _mm256_maddubs_epi16(weights.upper, values), last = _mm256_maddubs_epi16(weights.last, values);
  acc = _mm256_add_epi32(acc, _mm256_madd_epi16(upper, _mm256_set1_epi16(2)));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(last, _mm256_set1_epi16(1)));
}

// Of 16 registers: 8 sums and what they are made of.
constexpr int kScoreRows = 4;
constexpr int kValueRows = 4, kValueVectors = 2;
