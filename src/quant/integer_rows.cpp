#include "quant/integer_rows.h"

#include <algorithm>

#include "base/error.h"
#include "quant/hadamard.h"
#include "quant/integer_format.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

constexpr int kStoredInt4Offset = -kInt4Min;

bool is_int4(const QuantFormat& format) { return format.kind == QuantFormat::Kind::kInt4; }

}  // namespace

IntegerRowsShape integer_rows_shape(const QuantFormat& format, int64_t rows, int64_t cols) {
  return {{rows, is_int4(format) ? cols / 2 : cols}, {rows, (cols + format.group_size - 1) / format.group_size}};
}

DType integer_rows_dtype(const QuantFormat& format) { return is_int4(format) ? DType::kU8 : DType::kI8; }

void read_integers(const HostMatrix& matrix, int64_t row, int64_t col, int64_t count, int8_t* out) {
  if (!is_int4(matrix.format)) {
    for (int64_t i = 0; i < count; ++i)
      out[i] = std::max<int8_t>(read_element<int8_t>(matrix.weight, row * matrix.cols + col + i), -kInt8Max);
    return;
  }
  const int64_t first = (row * matrix.cols + col) / 2;
  for (int64_t i = 0; i < count / 2; ++i) {
    const uint8_t pair = read_element<uint8_t>(matrix.weight, first + i);
    out[2 * i] = static_cast<int8_t>((pair & 15) - kStoredInt4Offset);
    out[2 * i + 1] = static_cast<int8_t>((pair >> 4) - kStoredInt4Offset);
  }
}

void write_integers(const QuantFormat& format, const uint8_t* values, int64_t cols, int offset, uint8_t* out) {
  if (!is_int4(format)) {
    for (int64_t i = 0; i < cols; ++i) out[i] = static_cast<uint8_t>(values[i] - offset);
    return;
  }
  const int shift = kStoredInt4Offset - offset;
  for (int64_t i = 0; i < cols / 2; ++i)
    out[i] = static_cast<uint8_t>((values[2 * i] + shift) | (values[2 * i + 1] + shift) << 4);
}

void check_integer_rows(const HostMatrix& matrix, const std::string& name) {
  if (is_int4(matrix.format) && matrix.cols % 2 != 0)
    throw Error(ErrorCode::kBadData, str(name, ": ", matrix.cols, " input features are no pairs, as int4 needs"));
  const IntegerRowsShape shape = integer_rows_shape(matrix.format, matrix.rows, matrix.cols);
  const DType dtype = integer_rows_dtype(matrix.format);
  require_part(matrix.weight, shape.qweight, matrix.weight.dtype == dtype, name + ".qweight",
               std::string(dtype_name(dtype)).c_str());
  require_part(matrix.scales, shape.scales, matrix.scales.dtype == DType::kBF16, name + ".scales", "bfloat16");
}

void dequantize_integer_rows(const HostMatrix& matrix, int64_t first, int64_t count, float* out) {
  const int64_t part = matrix.format.group_size, parts = num_groups(matrix);
  int8_t q[kIntegerGroup];
  for (int64_t row = first; row < first + count; ++row) {
    for (int64_t col = 0; col < matrix.cols; col += kIntegerGroup) {
      const int64_t size = std::min<int64_t>(kIntegerGroup, matrix.cols - col);
      read_integers(matrix, row, col, size, q);
      for (int64_t i = 0; i < size; ++i)
        out[i] = read_float(matrix.scales, row * parts + (col + i) / part) * static_cast<float>(q[i]);
      rotate_group(out, static_cast<int>(size));
      out += size;
    }
  }
}

}  // namespace qwen
