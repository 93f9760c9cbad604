// What GPTQ (quant/gptq.h) and AWQ (quant/awq.h) have in common: w[row][col] = scale · (q - zero), scale and zero of
// the row in the group of the column. Reads those numbers out of either packing; every matrix here is a checked one.
#pragma once

#include <cstdint>

#include "quant/host_matrix.h"

namespace qwen {

inline bool has_stored_groups(const QuantFormat& format) {
  return format.kind == QuantFormat::Kind::kGptq || format.kind == QuantFormat::Kind::kAwq;
}

int64_t group_of(const HostMatrix& matrix, int64_t col);

// Of the rows [first, first + count): q in column `col`, the zero points (v1's offset added) and the scales of `group`.
void read_stored_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out);
void read_stored_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out);
void read_stored_scales(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, float* out);

// Whether every zero point (v1's offset added) is `value`.
bool all_stored_zeros_are(const HostMatrix& matrix, uint8_t value);

// See dequantize_rows.
void dequantize_groups(const HostMatrix& matrix, int64_t first, int64_t count, float* out);

}  // namespace qwen
