// A matrix of integers in GPTQ's packing (quant/gptq.h), made here: scales in f16, g_idx in order.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/gptq_grid.h"
#include "quant/host_matrix.h"

namespace qwen {

class GptqMatrix {
 public:
  // All zeros. `bits` is 4 or 8; rows and cols are multiples of 32 / bits; group_size ≥ 1; zero_offset is 1 in
  // checkpoint format v1, 0 in v2.
  GptqMatrix(int64_t rows, int64_t cols, int bits, int64_t group_size, int zero_offset);

  // Any two rows of different words, 32 / bits neighbours each, may be set by different threads.
  void set_grid(int64_t row, int64_t group, const GptqGrid& grid);
  void set(int64_t row, int64_t col, int q);

  // Views of this object's memory.
  HostMatrix view() const;

 private:
  int fields() const { return 32 / format_.bits; }

  QuantFormat format_;
  int64_t rows_, cols_;
  std::vector<uint32_t> qweight_;  // [cols / fields, rows]
  std::vector<uint32_t> qzeros_;   // [groups, rows / fields]
  std::vector<uint16_t> scales_;   // [groups, rows]
  std::vector<int32_t> g_idx_;     // [cols]
};

}  // namespace qwen
