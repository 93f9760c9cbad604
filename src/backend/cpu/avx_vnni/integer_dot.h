// The multiply-accumulate of this instruction set: 4 unsigned weights of each of 8 outputs times 4 signed activations,
// broadcast, added to 8 sums. M · V sums, their weights and broadcasts fit the 16 registers.

constexpr int kTileVectors = 2;
constexpr int max_tile_rows(int vectors) { return vectors == 2 ? 4 : 1; }

struct Int8Dot {
  using Panel = Int8Panel;
  using Weights = __m256i;
  static constexpr int kOffset = kInt8Offset;
  static constexpr int kParts = 1, kSteps = kQuads, kInputs = 4;

  static QWEN_INLINE Weights load(const uint8_t* p) { return load_bytes(p); }
  static QWEN_INLINE I32 broadcast(const int8_t* x) { return broadcast_four(x); }
  static QWEN_INLINE I32 multiply(I32 acc, Weights w, I32 x) { return _mm256_dpbusd_avx_epi32(acc, w, x); }
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
    return _mm256_dpbusd_avx_epi32(_mm256_dpbusd_avx_epi32(acc, w.low, x.low), w.high, x.high);
  }
};
using Int4Dot = Int4DotOf<Int4Panel, 1>;
using Int4HalfDot = Int4DotOf<Int4HalfPanel, 2>;

// The instruction alone, on registers: the ceiling of every product. Returns the operations done.
static double integer_dot_peak(int64_t rounds) {
  constexpr int kChains = 12;
  I32 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = _mm256_set1_epi32(i);  // different, or the compiler keeps one
  const I32 x = _mm256_set1_epi8(3);
  for (int64_t round = 0; round < rounds; ++round) {
    QWEN_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm256_dpbusd_avx_epi32(acc[i], x, x);
    asm volatile("" ::"x"(x));
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"x"(acc[i]));
  return static_cast<double>(rounds) * kChains * 8 * 4 * 2;
}
