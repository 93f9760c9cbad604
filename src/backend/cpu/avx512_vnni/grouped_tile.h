// What generic/grouped_matmul.inl needs beside integer_dot.h. Two times M · V sums, their weights and a broadcast fit
// the 32 registers.

constexpr int kGroupedVectors = 2;
constexpr int grouped_tile_rows(int) { return 6; }

static inline F32 load_f16(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
