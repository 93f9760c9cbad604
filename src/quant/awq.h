// AWQ checkpoints (quant_method "awq", version "gemm"), 4 bit:
//   weight  qweight int32 [cols, rows / 8]    packed along the outputs
//   zeros   qzeros  int32 [groups, rows / 8]  packed alike
//   scales  float   [groups, rows]
// Output 8·j + i lies at bit 4·kOrder[i] of word j. w[row][col] = scale · (q - zero). Source: qwen3-facts.md G3, after
// AutoAWQ's packing for its GEMM kernel.
#pragma once

#include <string>

#include "quant/host_matrix.h"

namespace qwen {

// See check_matrix and stored_groups.h.
void check_awq(const HostMatrix& matrix, const std::string& name);
void read_awq_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out);
void read_awq_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out);

}  // namespace qwen
