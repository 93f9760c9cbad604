#include "quant/gptq.h"

#include "base/error.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

uint32_t field(uint32_t word, int64_t index, int bits) {
  return word >> (static_cast<int>(index) * bits) & ((1u << bits) - 1);
}

}  // namespace

void check_gptq(const HostMatrix& matrix, const std::string& name) {
  const int bits = matrix.format.bits, fields = 32 / bits;
  if (matrix.cols % fields != 0 || matrix.rows % fields != 0)
    throw Error(ErrorCode::kBadData, str(name, ": [", matrix.rows, ", ", matrix.cols, "] does not fill words of ",
                                         fields, " weights, as ", bits, "-bit GPTQ needs"));
  const Shape words{matrix.cols / fields, matrix.rows}, zeros{num_groups(matrix), matrix.rows / fields};
  require_part(matrix.weight, words, matrix.weight.dtype == DType::kI32, name + ".qweight", "int32");
  require_part(matrix.zeros, zeros, matrix.zeros.dtype == DType::kI32, name + ".qzeros", "int32");
  require_part(matrix.scales, {num_groups(matrix), matrix.rows}, is_stored_float(matrix.scales.dtype), name + ".scales",
               "float16, bfloat16 or float32");
  if (matrix.g_idx.data == nullptr) return;
  require_part(matrix.g_idx, {matrix.cols}, matrix.g_idx.dtype == DType::kI32, name + ".g_idx", "int32");
  for (int64_t col = 0; col < matrix.cols; ++col) {
    const int32_t group = read_element<int32_t>(matrix.g_idx, col);
    if (group < 0 || group >= num_groups(matrix))
      throw Error(ErrorCode::kBadData, str(name, ".g_idx[", col, "] is ", group, " but there are ", num_groups(matrix),
                                           " groups: the file is damaged, download it again"));
  }
}

void dequantize_gptq(const HostMatrix& matrix, int64_t first, int64_t count, float* out) {
  const int bits = matrix.format.bits, fields = 32 / bits;
  const uint32_t mask = (1u << bits) - 1;
  for (int64_t col = 0; col < matrix.cols; ++col) {
    const int64_t group = matrix.g_idx.data ? read_element<int32_t>(matrix.g_idx, col) : col / matrix.format.group_size;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = first + i;
      const uint32_t q =
          field(read_element<uint32_t>(matrix.weight, col / fields * matrix.rows + row), col % fields, bits);
      const uint32_t stored = field(read_element<uint32_t>(matrix.zeros, group * (matrix.rows / fields) + row / fields),
                                    row % fields, bits);
      const uint32_t zero = (stored + static_cast<uint32_t>(matrix.format.zero_offset)) & mask;
      const float scale = read_float(matrix.scales, group * matrix.rows + row);
      out[i * matrix.cols + col] = scale * static_cast<float>(static_cast<int32_t>(q) - static_cast<int32_t>(zero));
    }
  }
}

}  // namespace qwen
