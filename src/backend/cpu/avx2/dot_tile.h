// The one multiply-accumulate of this instruction set: M rows of f32 pairs, broadcast, times V vectors of 8 outputs
// whose bf16 pairs lie side by side. Each output is acc += x₀·w₀, then acc += x₁·w₁ (FMA) for ascending pairs, whatever
// M and V are; accumulators may be stored and loaded in between without changing a bit. M · V accumulators, V weights,
// a mask and a broadcast fit the 16 registers.

constexpr int max_tile_rows(int vectors) { return vectors == 1 ? 8 : vectors == 2 ? 6 : vectors == 3 ? 3 : 2; }

template <int M, int V>
struct DotTile {
  __m256 acc[M][V];

  QWEN_INLINE void clear() {
    QWEN_UNROLL for (int m = 0; m < M; ++m) { QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm256_setzero_ps(); }
  }
  QWEN_INLINE void load(const float* c, int64_t stride) {
    QWEN_UNROLL for (int m = 0; m < M; ++m) {
      QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm256_loadu_ps(c + m * stride + v * 8);
    }
  }
  QWEN_INLINE void store(float* c, int64_t stride) const {
    QWEN_UNROLL for (int m = 0; m < M; ++m) {
      QWEN_UNROLL for (int v = 0; v < V; ++v) _mm256_storeu_ps(c + m * stride + v * 8, acc[m][v]);
    }
  }
  // b[v]: 8 outputs × 2 of the first pair; b_step elements on: those of the next pair.
  QWEN_INLINE void add(const Operand* a, int64_t a_stride, const uint16_t* const* b, int64_t b_step, int pairs) {
    int64_t offset = 0;
    for (int pair = 0; pair < pairs; ++pair, a += 2, offset += b_step) {
      __m256 wv[V];
      QWEN_UNROLL for (int v = 0; v < V; ++v) {
        wv[v] = _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b[v] + offset)), 16));
      }
      multiply(a, a_stride, wv);
      const __m256 odd = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int32_t>(0xffff0000u)));
      QWEN_UNROLL for (int v = 0; v < V; ++v) {
        wv[v] = _mm256_and_ps(odd, _mm256_loadu_ps(reinterpret_cast<const float*>(b[v] + offset)));
      }
      multiply(a + 1, a_stride, wv);
    }
  }
  QWEN_INLINE void multiply(const Operand* a, int64_t a_stride, const __m256* wv) {
    QWEN_UNROLL for (int m = 0; m < M; ++m) {
      const __m256 x = _mm256_broadcast_ss(a + m * a_stride);
      QWEN_UNROLL for (int v = 0; v < V; ++v) acc[m][v] = _mm256_fmadd_ps(x, wv[v], acc[m][v]);
    }
  }
};

constexpr int kMaxValueVectors = 2;  // of the head dimension per attention tile

// The instruction alone, on registers: the ceiling of every product. Returns the floating-point operations done.
static double dot_peak(int64_t rounds) {
  constexpr int kChains = 12;
  __m256 acc[kChains];
  for (int i = 0; i < kChains; ++i)
    acc[i] = _mm256_set1_ps(static_cast<float>(i));  // different, or the compiler keeps one
  const __m256 x = _mm256_set1_ps(0.999f);
  for (int64_t round = 0; round < rounds; ++round) {
    QWEN_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = _mm256_fmadd_ps(acc[i], x, x);
    asm volatile("" ::"x"(x));
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" ::"x"(acc[i]));
  return static_cast<double>(rounds) * kChains * 8 * 2;
}
