#include "quant/fp8_block.h"

#include <array>
#include <bit>
#include <limits>

#include "base/error.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

int64_t blocks(int64_t n) { return (n + kFp8Block - 1) / kFp8Block; }

// Where the scale of (row, col) stands: row / row_block · row_stride + col / col_block.
struct ScaleGrid {
  int64_t row_block, col_block, row_stride;
};

ScaleGrid scale_grid(const HostMatrix& matrix) {
  const Shape& shape = matrix.scales.shape;
  const int64_t rows = matrix.rows, cols = matrix.cols;
  if (shape.num_elements() == 1) return {rows, cols, 0};
  if (shape == Shape{rows} || shape == Shape{rows, 1}) return {1, cols, 1};
  return {kFp8Block, kFp8Block, blocks(cols)};
}

constexpr float decode(uint8_t value) {
  const int exponent = value >> 3 & 15, mantissa = value & 7;
  const uint32_t sign = static_cast<uint32_t>(value & 0x80) << 24;
  if ((value & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude =
      exponent == 0
          ? static_cast<float>(mantissa) * 0x1p-9f
          : std::bit_cast<float>(static_cast<uint32_t>(exponent + 120) << 23 | static_cast<uint32_t>(mantissa) << 20);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

constexpr auto kTable = [] {
  std::array<float, 256> table{};
  for (size_t i = 0; i < table.size(); ++i) table[i] = decode(static_cast<uint8_t>(i));
  return table;
}();

}  // namespace

float f8e4m3_to_f32(uint8_t value) { return kTable[value]; }

void check_fp8_block(const HostMatrix& matrix, const std::string& name) {
  const Shape& shape = matrix.scales.shape;
  require_part(matrix.weight, {matrix.rows, matrix.cols}, matrix.weight.dtype == DType::kF8E4M3, name + ".weight",
               "float8_e4m3fn");
  const bool simple = shape.num_elements() == 1 || shape == Shape{matrix.rows} || shape == Shape{matrix.rows, 1};
  const Shape grid = simple ? shape : Shape{blocks(matrix.rows), blocks(matrix.cols)};
  require_part(matrix.scales, grid, is_stored_float(matrix.scales.dtype), name + ".weight_scale_inv",
               "float32, bfloat16 or float16");
}

void dequantize_fp8_block(const HostMatrix& matrix, int64_t first, int64_t count, float* out) {
  const ScaleGrid grid = scale_grid(matrix);
  for (int64_t row = first; row < first + count; ++row) {
    const int64_t line = row / grid.row_block * grid.row_stride;
    for (int64_t col = 0; col < matrix.cols; ++col) {
      const float scale = read_float(matrix.scales, line + col / grid.col_block);
      *out++ = kTable[read_element<uint8_t>(matrix.weight, row * matrix.cols + col)] * scale;
    }
  }
}

}  // namespace qwen
