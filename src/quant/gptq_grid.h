// The numbers that a group of weights may take in GPTQ's format: scale · (q - zero), q from 0 to 2^bits - 1.
#pragma once

#include <cstdint>

namespace qwen {

struct GptqGrid {
  float scale = 0;  // representable in f16; may be negative, which puts the longer side of a symmetric grid above zero
  int zero = 0;     // from 1 on: a stored zero point of v1 is one less

  float value(int q) const { return scale * static_cast<float>(q - zero); }
  // The q from 0 to `most` whose value is nearest.
  int round(float value, int most) const;
};

struct GridOptions {
  int bits = 4;  // or 8
  bool symmetric = true;
};

// For `n` finite weights. Candidates cover the largest magnitude, on either side (symmetric), or both ends, or leave up
// to a third of that outside; the one with the least Σ importance · error² is taken. `importance` [n] may be null.
// Zeros, and what is too small for f16, give the scale 0.
GptqGrid choose_grid(const float* weights, const float* importance, int64_t n, const GridOptions& options);

}  // namespace qwen
