#include "quant/dequantize.h"

#include "base/error.h"
#include "quant/awq.h"
#include "quant/fp8_block.h"
#include "quant/gptq.h"
#include "quant/integer_rows.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"
#include "quant/stored_groups.h"

namespace qwen {

void check_matrix(const HostMatrix& matrix, const std::string& name) {
  switch (matrix.format.kind) {
    case QuantFormat::Kind::kNone:
      return require_part(matrix.weight, {matrix.rows, matrix.cols}, is_stored_float(matrix.weight.dtype),
                          name + ".weight", "float32, float16 or bfloat16");
    case QuantFormat::Kind::kGptq:
      return check_gptq(matrix, name);
    case QuantFormat::Kind::kAwq:
      return check_awq(matrix, name);
    case QuantFormat::Kind::kFp8Block:
      return check_fp8_block(matrix, name);
    case QuantFormat::Kind::kInt8:
    case QuantFormat::Kind::kInt4:
      return check_integer_rows(matrix, name);
    case QuantFormat::Kind::kGrouped:
      break;
  }
  throw Error(ErrorCode::kInternal, name + ": weights in an unknown format");
}

void dequantize_rows(const HostMatrix& matrix, int64_t first, int64_t count, float* out) {
  switch (matrix.format.kind) {
    case QuantFormat::Kind::kNone:
      for (int64_t i = 0; i < count * matrix.cols; ++i) out[i] = read_float(matrix.weight, first * matrix.cols + i);
      return;
    case QuantFormat::Kind::kGptq:
    case QuantFormat::Kind::kAwq:
      return dequantize_groups(matrix, first, count, out);
    case QuantFormat::Kind::kFp8Block:
      return dequantize_fp8_block(matrix, first, count, out);
    case QuantFormat::Kind::kInt8:
    case QuantFormat::Kind::kInt4:
      return dequantize_integer_rows(matrix, first, count, out);
    case QuantFormat::Kind::kGrouped:
      return;  // never in a folder: check_matrix refuses them
  }
}

}  // namespace qwen
