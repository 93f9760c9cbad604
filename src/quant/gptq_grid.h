// The numbers that a group of weights may take in GPTQ's format: scale · (q - zero), q from 0 to 2^bits - 1.
#pragma once

#include <cstdint>

namespace qwen {

struct GptqGrid {
  float scale = 0;  // representable in f16
  int zero = 0;     // from 1 on: a stored zero point of v1 is one less

  int round(float value, int most) const;
  float value(int q) const { return scale * static_cast<float>(q - zero); }
};

struct GridOptions {
  int bits = 4;  // or 8
  bool symmetric = true;
};

// For `n` weights: the largest magnitude (symmetric) or both ends may lie up to a third outside, whichever gives the
// least Σ importance · error²; `importance` [n] may be null. All zeros give the scale 0.
GptqGrid choose_grid(const float* weights, const float* importance, int64_t n, const GridOptions& options);

}  // namespace qwen
