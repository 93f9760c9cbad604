#include "quant/awq.h"

#include <array>

#include "base/error.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

constexpr int kFields = 8;
constexpr std::array<int, kFields> kOrder = {0, 4, 1, 5, 2, 6, 3, 7};  // the nibble that holds output i of a word

void read_nibbles(const TensorView& words, int64_t line, int64_t rows, int64_t first, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = first + i;
    const uint32_t word = read_element<uint32_t>(words, line * (rows / kFields) + row / kFields);
    out[i] = static_cast<uint8_t>(word >> (4 * kOrder[static_cast<size_t>(row % kFields)]) & 15u);
  }
}

}  // namespace

void check_awq(const HostMatrix& matrix, const std::string& name) {
  if (matrix.rows % kFields != 0)
    throw Error(ErrorCode::kBadData, str(name, ": ", matrix.rows, " outputs do not fill words of ", kFields,
                                         " weights, as 4-bit AWQ needs"));
  require_part(matrix.weight, {matrix.cols, matrix.rows / kFields}, matrix.weight.dtype == DType::kI32,
               name + ".qweight", "int32");
  require_part(matrix.zeros, {num_groups(matrix), matrix.rows / kFields}, matrix.zeros.dtype == DType::kI32,
               name + ".qzeros", "int32");
  require_part(matrix.scales, {num_groups(matrix), matrix.rows}, is_stored_float(matrix.scales.dtype), name + ".scales",
               "float16, bfloat16 or float32");
}

void read_awq_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out) {
  read_nibbles(matrix.weight, col, matrix.rows, first, count, out);
}

void read_awq_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out) {
  read_nibbles(matrix.zeros, group, matrix.rows, first, count, out);
}

}  // namespace qwen
