// The one multiply-accumulate of this instruction set: M rows of bf16 pairs, broadcast, times V vectors of 16 outputs
// whose pairs lie side by side. Each output is acc = dpbf16(acc, pair of x, pair of w) for ascending pairs, whatever M
// and V are; accumulators may be stored and loaded in between without changing a bit. M · V accumulators, V weights and
// a broadcast fit the 32 registers.

constexpr int max_tile_rows(int vectors) { return vectors == 1 ? 14 : vectors == 2 ? 12 : vectors == 3 ? 8 : 6; }

template <int M, int V>
struct DotTile {
  __m512 acc[M][V];

  QWEN_INLINE void clear() {
    QWEN_UNROLL for (int m = 0; m < M; ++m) { QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm512_setzero_ps(); }
  }
  QWEN_INLINE void load(const float* c, int64_t stride) {
    QWEN_UNROLL for (int m = 0; m < M; ++m) {
      QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm512_loadu_ps(c + m * stride + v * 16);
    }
  }
  QWEN_INLINE void store(float* c, int64_t stride) const {
    QWEN_UNROLL for (int m = 0; m < M; ++m) {
      QWEN_UNROLL for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + m * stride + v * 16, acc[m][v]);
    }
  }
  // b[v]: 16 outputs × 2 of the first pair; b_step elements on: those of the next pair.
  QWEN_INLINE void add(const Operand* a, int64_t a_stride, const uint16_t* const* b, int64_t b_step, int pairs) {
    int64_t offset = 0;
    for (int pair = 0; pair < pairs; ++pair, a += 2, offset += b_step) {
      __m512bh wv[V];
      QWEN_UNROLL for (int v = 0; v < V; ++v) { wv[v] = (__m512bh)_mm512_loadu_si512(b[v] + offset); }
      QWEN_UNROLL for (int m = 0; m < M; ++m) {
        int32_t two;
        __builtin_memcpy(&two, a + m * a_stride, sizeof two);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(two);
        QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm512_dpbf16_ps(acc[m][v], x, wv[v]);
      }
    }
  }
};

constexpr int kMaxValueVectors = 4;  // of the head dimension per attention tile

// The instruction alone, on registers: the ceiling of every product. Returns the floating-point operations done.
static double dot_peak(int64_t rounds) {
  constexpr int kChains = 16;
  __m512 acc[kChains];
  for (int i = 0; i < kChains; ++i)
    acc[i] = _mm512_set1_ps(static_cast<float>(i));  // different, or the compiler keeps one
  const __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00);
  for (int64_t round = 0; round < rounds; ++round) {
    QWEN_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], x, x);
    asm volatile("" ::"v"(x));
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"v"(acc[i]));
  return static_cast<double>(rounds) * kChains * 16 * 2 * 2;
}
