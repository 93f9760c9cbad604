#include "backend/cpu/weight_packing.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/stacked_rows.h"
#include "quant/dequantize.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

constexpr int kPairsPerBlock =
    64;  // 16 KiB of a bf16 panel: rows are walked forward while the block stays in the L1 cache

void put(float* out, float value) { *out = value; }
void put(uint16_t* out, float value) { *out = f32_to_bf16(value); }

// Whether a row can be taken from the file as it is; the others are dequantized a panel at a time.
bool is_plain(const HostMatrix& m) { return m.format.kind == QuantFormat::Kind::kNone; }

// `count` elements of one source row from `col` on, into lane `lane` of a panel.
template <typename T>
void pack_run(T* panel, int lane, const HostMatrix& m, int64_t row, int col, int count) {
  T* out = panel + static_cast<int64_t>(col) * kPanelRows + 2 * lane;
  const int64_t first = row * m.cols + col;
  if constexpr (sizeof(T) == 2) {
    if (m.weight.dtype == DType::kBF16) {
      const std::byte* source = m.weight.data + static_cast<size_t>(first) * 2;
      for (int pair = 0; pair < count / 2; ++pair) std::memcpy(out + pair * 2 * kPanelRows, source + 4 * pair, 4);
      if (count % 2 != 0) std::memcpy(out + (count / 2) * 2 * kPanelRows, source + 2 * (count - 1), 2);
      return;
    }
  }
  for (int i = 0; i < count; ++i) put(out + i / 2 * 2 * kPanelRows + i % 2, read_float(m.weight, first + i));
}

// Consecutive lanes of a panel that are consecutive rows of one source.
template <typename T>
void pack_plain(T* panel, int lane, const HostMatrix& m, int64_t row, int rows) {
  const int cols = static_cast<int>(m.cols);
  for (int col = 0; col < cols; col += 2 * kPairsPerBlock) {
    const int count = std::min(2 * kPairsPerBlock, cols - col);
    for (int i = 0; i < rows; ++i) pack_run(panel, lane + i, m, row + i, col, count);
  }
}

template <typename T>
void pack_dequantized(T* panel, int lane, const HostMatrix& m, int64_t row, int rows, float* scratch) {
  dequantize_rows(m, row, rows, scratch);
  for (int64_t col = 0; col < m.cols; ++col) {
    T* const out = panel + col / 2 * 2 * kPanelRows + 2 * lane + col % 2;
    for (int i = 0; i < rows; ++i) put(out + 2 * i, scratch[i * m.cols + col]);
  }
}

// `scratch`: [kPanelRows, cols], for sources that are not plain. Lanes past the last row stay zero.
template <typename T>
void pack_panel(T* panel, int first_row, std::span<const HostMatrix> stacked, float* scratch) {
  for_each_run(stacked, first_row, kPanelRows, [&](int lane, const HostMatrix& m, int64_t row, int rows) {
    if (is_plain(m))
      pack_plain(panel, lane, m, row, rows);
    else
      pack_dequantized(panel, lane, m, row, rows, scratch);
  });
}

}  // namespace

size_t packed_weight_bytes(int64_t rows, int64_t cols, DType dtype) {
  const int64_t panels = (rows + kPanelRows - 1) / kPanelRows;
  return static_cast<size_t>(panels * panel_elements(static_cast<int>((cols + 1) / 2))) * dtype_size(dtype);
}

Matrix pack_weights(std::span<const HostMatrix> stacked, bool stored_precision, ThreadPool& pool) {
  Matrix matrix;
  matrix.rows = check_stack(stacked);
  matrix.cols = static_cast<int>(stacked[0].cols);
  bool all_bf16 = true;
  for (const HostMatrix& m : stacked) all_bf16 &= is_plain(m) && m.weight.dtype == DType::kBF16;
  matrix.dtype = stored_precision && !all_bf16 ? DType::kF32 : DType::kBF16;
  const int panels = (matrix.rows + kPanelRows - 1) / kPanelRows;
  const int64_t per_panel = panel_elements((matrix.cols + 1) / 2);
  matrix.buffer = allocate_host_memory(packed_weight_bytes(matrix.rows, matrix.cols, matrix.dtype), "weights");
  const bool any_quantized = !std::all_of(stacked.begin(), stacked.end(), is_plain);
  const size_t scratch_size = any_quantized ? static_cast<size_t>(matrix.cols) * kPanelRows : 0;
  std::vector<float> scratch(scratch_size * static_cast<size_t>(pool.threads()));
  pool.run(panels, [&](int panel, int worker) {
    float* const own = scratch.data() + scratch_size * static_cast<size_t>(worker);
    if (matrix.dtype == DType::kBF16) {
      pack_panel(matrix.buffer.as<uint16_t>() + panel * per_panel, panel * kPanelRows, stacked, own);
    } else {
      pack_panel(matrix.buffer.as<float>() + panel * per_panel, panel * kPanelRows, stacked, own);
    }
  });
  return matrix;
}

void unpack_row(const Matrix& matrix, int row, float* out) {
  const int64_t start =
      static_cast<int64_t>(row / kPanelRows) * panel_elements((matrix.cols + 1) / 2) + row % kPanelRows * 2;
  if (matrix.dtype == DType::kBF16) {
    const uint16_t* w = matrix.buffer.as<uint16_t>() + start;
    for (int64_t col = 0; col < matrix.cols; ++col) out[col] = bf16_to_f32(w[col / 2 * 2 * kPanelRows + col % 2]);
  } else {
    const float* w = matrix.buffer.as<float>() + start;
    for (int64_t col = 0; col < matrix.cols; ++col) out[col] = w[col / 2 * 2 * kPanelRows + col % 2];
  }
}

}  // namespace qwen
