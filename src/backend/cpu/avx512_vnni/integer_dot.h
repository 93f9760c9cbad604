// The multiply-accumulate of this instruction set: 4 unsigned weights of each of 16 outputs times 4 signed activations,
// broadcast, added to 16 sums. M · V sums, their weights and a broadcast fit the 32 registers.

using F32 = F32x16;
using I32 = I32x16;
constexpr int kLanes = 16;
constexpr int kTileVectors = 2;
constexpr int max_tile_rows(int) { return 8; }

static inline F32 zero() { return _mm512_setzero_ps(); }
static inline F32 broadcast(float x) { return _mm512_set1_ps(x); }
static inline I32 broadcast_integer(int32_t x) { return _mm512_set1_epi32(x); }
static inline F32 load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, F32 v) { _mm512_storeu_ps(p, v); }
static inline F32 to_float(I32 v) { return _mm512_cvtepi32_ps(v); }
static inline F32 load_bf16(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

static QWEN_INLINE I32 broadcast_four(const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof four);
  return _mm512_set1_epi32(four);
}

struct Int8Dot {
  using Panel = Int8Panel;
  using Weights = __m512i;
  static constexpr int kOffset = kInt8Offset;
  static constexpr int kParts = 1, kSteps = kQuads, kInputs = 4;

  static QWEN_INLINE Weights load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static QWEN_INLINE I32 broadcast(const int8_t* x) { return broadcast_four(x); }
  static QWEN_INLINE I32 multiply(I32 acc, Weights w, I32 x) { return _mm512_dpbusd_epi32(acc, w, x); }
};

template <typename PanelType, int kPanelsOfGroup>
struct Int4DotOf {
  using Panel = PanelType;
  static constexpr int kParts = kPanelsOfGroup;
  struct Weights {
    __m512i low, high;
  };
  using Inputs = Weights;
  static constexpr int kOffset = kInt4Offset;
  static constexpr int kSteps = kQuads / 2 / kParts, kInputs = 8;

  static QWEN_INLINE Weights load(const uint8_t* p) {
    const __m512i pairs = _mm512_loadu_si512(p), mask = _mm512_set1_epi8(15);
    return {_mm512_and_si512(pairs, mask), _mm512_and_si512(_mm512_srli_epi16(pairs, 4), mask)};
  }
  static QWEN_INLINE Inputs broadcast(const int8_t* x) { return {broadcast_four(x), broadcast_four(x + 4)}; }
  static QWEN_INLINE I32 multiply(I32 acc, Weights w, Inputs x) {
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(acc, w.low, x.low), w.high, x.high);
  }
};
using Int4Dot = Int4DotOf<Int4Panel, 1>;
using Int4HalfDot = Int4DotOf<Int4HalfPanel, 2>;

// The instruction alone, on registers: the ceiling of every product. Returns the operations done.
static double dot_peak(int64_t rounds) {
  constexpr int kChains = 16;
  I32 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_epi32(i);  // different, or the compiler keeps one
  const I32 x = _mm512_set1_epi8(3);
  for (int64_t round = 0; round < rounds; ++round) {
    QWEN_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_dpbusd_epi32(acc[i], x, x);
    asm volatile("" ::"v"(x));
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"v"(acc[i]));
  return static_cast<double>(rounds) * kChains * 16 * 4 * 2;
}
