// The multiply-accumulate of this instruction set: 4 weights of each of 8 outputs times 4 activations, broadcast, by
// vpmaddubsw, whose 16-bit sums of two products must not saturate. In int8 the weights' magnitudes are multiplied with
// activations that took over their signs, in int4 unsigned weights with the activations, and two such sums are added.
// Callers keep |activation| ≤ kInt8Max: -128 has no opposite. A weight may be any byte, -128 too, which stale keys are.
// M sums, the weights and what is between fit the 16 registers.

constexpr int kLargestSum = 32767;  // of 16 bits
static_assert(2 * kInt8Offset * kInt8Max <= kLargestSum);
static_assert(4 * (kInt4Max - kInt4Min) * kInt8Max <= kLargestSum);

constexpr int kTileVectors = 1;
constexpr int max_tile_rows(int vectors) { return vectors == 1 ? 8 : 1; }

static QWEN_INLINE I32 add_pairs(I32 acc, I32 words) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

struct Int8Dot {
  using Panel = Int8Panel;
  struct Weights {
    __m256i value, magnitude;
  };
  static constexpr int kOffset = 0;  // taken off the weights
  static constexpr int kParts = 1, kSteps = kQuads, kInputs = 4;

  static QWEN_INLINE Weights load(const uint8_t* p) {
    const __m256i value = _mm256_xor_si256(load_bytes(p), _mm256_set1_epi8(static_cast<char>(kInt8Offset)));
    return {value, _mm256_abs_epi8(value)};
  }
  static QWEN_INLINE I32 broadcast(const int8_t* x) { return broadcast_four(x); }
  static QWEN_INLINE I32 multiply(I32 acc, Weights w, I32 x) {
    return add_pairs(acc, _mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(x, w.value)));
  }
};

template <typename PanelType, int kPanelsOfGroup>
struct Int4DotOf {
  using Panel = PanelType;
  static constexpr int kParts = kPanelsOfGroup;
  struct Weights {
    __m256i low, high;
  };
  using Inputs = Weights;
  static constexpr int kOffset = kInt4Offset;
  static constexpr int kSteps = kQuads / 2 / kParts, kInputs = 8;

  static QWEN_INLINE Weights load(const uint8_t* p) {
    const __m256i pairs = load_bytes(p), mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(pairs, mask), _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask)};
  }
  static QWEN_INLINE Inputs broadcast(const int8_t* x) { return {broadcast_four(x), broadcast_four(x + 4)}; }
  static QWEN_INLINE I32 multiply(I32 acc, Weights w, Inputs x) {
    return add_pairs(acc, _mm256_add_epi16(_mm256_maddubs_epi16(w.low, x.low), _mm256_maddubs_epi16(w.high, x.high)));
  }
};
using Int4Dot = Int4DotOf<Int4Panel, 1>;
using Int4HalfDot = Int4DotOf<Int4HalfPanel, 2>;

// int8's instructions alone, on registers: the ceiling of its products. Returns the operations done.
static double integer_dot_peak(int64_t rounds) {
  constexpr int kChains = 8;
  I32 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = _mm256_set1_epi32(i);  // different, or the compiler keeps one
  const Int8Dot::Weights w = {_mm256_set1_epi8(3), _mm256_set1_epi8(3)};
  I32 x = _mm256_set1_epi8(5);
  for (int64_t round = 0; round < rounds; ++round) {
    QWEN_UNROLL for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+x"(x));  // or one product serves all chains
      acc[i] = add_pairs(acc[i], _mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(x, w.value)));
    }
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"x"(acc[i]));
  return static_cast<double>(rounds) * kChains * 8 * 4 * 2;
}
