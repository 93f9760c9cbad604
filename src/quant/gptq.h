// GPTQ checkpoints (AutoGPTQ, GPTQModel; quant_method "gptq"), 4 and 8 bit, any group size, desc_act, symmetric or not.
// With pf = 32 / bits fields in a word, least significant first:
//   weight  qweight int32 [cols / pf, rows]    packed along the input features
//   zeros   qzeros  int32 [groups, rows / pf]  packed along the outputs
//   scales  float   [groups, rows]
//   g_idx   int32   [cols]                     group of each input feature, in any order (desc_act)
// w[row][col] = scale · (q - (zero + zero_offset) mod 2^bits), in the group of col. Source: qwen3-facts.md G2, after
// AutoGPTQ's own kernels: a stored zero point of v1 is one less, modulo the field.
#pragma once

#include <string>

#include "quant/host_matrix.h"

namespace qwen {

// See check_matrix and stored_groups.h.
void check_gptq(const HostMatrix& matrix, const std::string& name);
void read_gptq_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out);
void read_gptq_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out);

}  // namespace qwen
