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

void read_gptq_integers(const HostMatrix& matrix, int64_t col, int64_t first, int64_t count, uint8_t* out) {
  const int bits = matrix.format.bits, fields = 32 / bits;
  const int64_t line = col / fields * matrix.rows + first;
  for (int64_t i = 0; i < count; ++i)
    out[i] = static_cast<uint8_t>(field(read_element<uint32_t>(matrix.weight, line + i), col % fields, bits));
}

void read_gptq_zeros(const HostMatrix& matrix, int64_t group, int64_t first, int64_t count, uint8_t* out) {
  const int bits = matrix.format.bits, fields = 32 / bits;
  const uint32_t offset = static_cast<uint32_t>(matrix.format.zero_offset), mask = (1u << bits) - 1;
  const int64_t line = group * (matrix.rows / fields);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = first + i;
    const uint32_t word = read_element<uint32_t>(matrix.zeros, line + row / fields);
    out[i] = static_cast<uint8_t>((field(word, row % fields, bits) + offset) & mask);
  }
}

}  // namespace qwen
