// int8 and int4 weights as a model folder stores them (`quantize`; quant_method "qwen_thinking"), the same for every
// backend. The numbers are those of quant/integer_format.h, to the bit: rotated groups of 128 inputs, so that loading
// computes nothing.
//   weight  qweight  int8: int8 [rows, cols], q
//                    int4: uint8 [rows, cols / 2], input 2·i as q + 8 in the low and 2·i + 1 in the high half of byte i
//   scales  bfloat16 [rows, ⌈cols / group_size⌉]
// Output r's weights in the group are H · (scale · q), H the group's rotation.
#pragma once

#include <cstdint>
#include <string>

#include "base/tensor_view.h"
#include "quant/host_matrix.h"

namespace qwen {

inline bool is_integer_kind(const QuantFormat& format) {
  return format.kind == QuantFormat::Kind::kInt8 || format.kind == QuantFormat::Kind::kInt4;
}

// Whether a matrix of such a format is spelled as above, and not in a backend's packing.
inline bool is_integer_rows(const HostMatrix& matrix) {
  return is_integer_kind(matrix.format) && matrix.scales.data != nullptr;
}

struct IntegerRowsShape {
  Shape qweight, scales;
};
// int4 needs an even number of columns.
IntegerRowsShape integer_rows_shape(const QuantFormat& format, int64_t rows, int64_t cols);
DType integer_rows_dtype(const QuantFormat& format);  // of qweight

// The integers of one row's inputs [col, col + count), `count` even for int4. -128, which no int8 weight is, is read as
// -127.
void read_integers(const HostMatrix& matrix, int64_t row, int64_t col, int64_t count, int8_t* out);
// The reverse for a whole row: `q` + `offset` is what `values` holds.
void write_integers(const QuantFormat& format, const uint8_t* values, int64_t cols, int offset, uint8_t* out);

// See check_matrix and dequantize_rows.
void check_integer_rows(const HostMatrix& matrix, const std::string& name);
void dequantize_integer_rows(const HostMatrix& matrix, int64_t first, int64_t count, float* out);

}  // namespace qwen
