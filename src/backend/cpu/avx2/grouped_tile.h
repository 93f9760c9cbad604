// What generic/grouped_matmul.inl needs beside simd16.h and integer_dot.h, for AVX2 and AVX-VNNI. Of two times M · V
// sums the groups' may leave the 16 registers: they are wanted once a block.

constexpr int kGroupedVectors = kTileVectors;
constexpr int grouped_tile_rows(int vectors) { return vectors == kTileVectors ? 4 : 1; }

static inline F32 load_f16(const void* p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
