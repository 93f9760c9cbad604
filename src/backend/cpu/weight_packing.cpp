#include "backend/cpu/weight_packing.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/layouts.h"
#include "base/error.h"

namespace qwen {
namespace {

constexpr int kPairsPerBlock =
    64;  // 16 KiB of a bf16 panel: rows are walked forward while the block stays in the L1 cache

void check(std::span<const HostMatrix> stacked) {
  if (stacked.empty()) throw Error(ErrorCode::kInternal, "no matrix to prepare");
  int64_t rows = 0;
  for (const HostMatrix& m : stacked) {
    constexpr int64_t kMaxDim = std::numeric_limits<int32_t>::max() / 2;
    const TensorView& w = m.weight;
    if (m.format.kind != QuantFormat::Kind::kNone) throw Error(ErrorCode::kBadData, "weights in an unknown format");
    if (w.dtype != DType::kF32 && w.dtype != DType::kF16 && w.dtype != DType::kBF16) {
      throw Error(ErrorCode::kBadData,
                  str("weights of type ", dtype_name(w.dtype), ": float32, float16 or bfloat16 expected"));
    }
    if (m.rows < 1 || m.cols < 1 || m.rows > kMaxDim || m.cols > kMaxDim || w.shape != Shape{m.rows, m.cols}) {
      throw Error(ErrorCode::kBadData,
                  str("weights of shape ", to_string(w.shape), " where [", m.rows, ", ", m.cols, "] is expected"));
    }
    if (m.cols != stacked[0].cols) {
      throw Error(ErrorCode::kBadData,
                  str("stacked weights with ", stacked[0].cols, " and ", m.cols, " input features"));
    }
    rows += m.rows;
    if (rows > kMaxDim) throw Error(ErrorCode::kBadData, str("weights with ", rows, " rows"));
  }
}

// A view into a file need not be aligned.
template <typename T>
T read(const TensorView& w, int64_t index) {
  T value;
  std::memcpy(&value, w.data + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

float element(const TensorView& w, int64_t index) {
  switch (w.dtype) {
    case DType::kBF16:
      return bf16_to_f32(read<uint16_t>(w, index));
    case DType::kF16:
      return f16_to_f32(read<uint16_t>(w, index));
    default:
      return read<float>(w, index);
  }
}

void put(float* out, float value) { *out = value; }
void put(uint16_t* out, float value) { *out = f32_to_bf16(value); }

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
  for (int i = 0; i < count; ++i) put(out + i / 2 * 2 * kPanelRows + i % 2, element(m.weight, first + i));
}

template <typename T>
void pack_panel(T* panel, int first_row, std::span<const HostMatrix> stacked) {
  const int cols = static_cast<int>(stacked[0].cols);
  for (int col = 0; col < cols; col += 2 * kPairsPerBlock) {
    const int count = std::min(2 * kPairsPerBlock, cols - col);
    size_t part = 0;
    int64_t row = first_row;
    for (int lane = 0; lane < kPanelRows; ++lane, ++row) {
      while (part < stacked.size() && row >= stacked[part].rows) row -= stacked[part++].rows;
      if (part == stacked.size()) break;  // padding stays zero
      pack_run(panel, lane, stacked[part], row, col, count);
    }
  }
}

}  // namespace

Matrix pack_weights(std::span<const HostMatrix> stacked, bool stored_precision, ThreadPool& pool) {
  check(stacked);
  Matrix matrix;
  matrix.cols = static_cast<int>(stacked[0].cols);
  bool all_bf16 = true;
  for (const HostMatrix& m : stacked) {
    matrix.rows += static_cast<int>(m.rows);
    all_bf16 &= m.weight.dtype == DType::kBF16;
  }
  matrix.dtype = stored_precision && !all_bf16 ? DType::kF32 : DType::kBF16;
  const int panels = (matrix.rows + kPanelRows - 1) / kPanelRows;
  const int64_t per_panel = panel_elements((matrix.cols + 1) / 2);
  matrix.buffer = allocate_host_memory(static_cast<size_t>(panels * per_panel) * dtype_size(matrix.dtype), "weights");
  pool.run(panels, [&](int panel, int) {
    if (matrix.dtype == DType::kBF16) {
      pack_panel(matrix.buffer.as<uint16_t>() + panel * per_panel, panel * kPanelRows, stacked);
    } else {
      pack_panel(matrix.buffer.as<float>() + panel * per_panel, panel * kPanelRows, stacked);
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
