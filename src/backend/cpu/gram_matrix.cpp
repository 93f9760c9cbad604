#include "backend/cpu/gram_matrix.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/layouts.h"

namespace qwen {
namespace {

constexpr int kOutputRows = 192;  // of a matrix product: they stay in the L2 cache while panels pass

// x by columns, twice: as activation rows of the kernels' type, and as panels of weights. Both are padded with zeros.
template <typename T>
struct Columns {
  int pairs;
  int64_t stride;
  std::vector<T> rows;           // [cols, stride]
  std::vector<uint16_t> panels;  // [cols / kPanelRows][pairs][kPanelRows][2]
};

uint16_t to_bf16(uint16_t value) { return value; }
uint16_t to_bf16(float value) { return f32_to_bf16(value); }
void from_bf16(uint16_t value, uint16_t& out) { out = value; }
void from_bf16(uint16_t value, float& out) { out = bf16_to_f32(value); }

template <typename T>
Columns<T> transpose(const ActivationRows& x, ThreadPool& pool) {
  Columns<T> columns{.pairs = (x.rows + 1) / 2, .stride = activation_stride(x.rows, sizeof(T))};
  const int panels = (x.cols + kPanelRows - 1) / kPanelRows;
  const int64_t panel_size = panel_elements(columns.pairs), x_stride = activation_stride(x.cols, sizeof(T));
  columns.rows.resize(static_cast<size_t>(int64_t{panels} * kPanelRows * columns.stride));
  columns.panels.resize(static_cast<size_t>(panels * panel_size));
  pool.run(panels, [&](int panel, int) {
    const int first = panel * kPanelRows, lanes = std::min(kPanelRows, x.cols - first);
    uint16_t* const packed = columns.panels.data() + panel * panel_size;
    for (int row = 0; row < x.rows; ++row) {
      const T* const source = reinterpret_cast<const T*>(x.data) + row * x_stride + first;
      uint16_t* const pair = packed + int64_t{row / 2} * 2 * kPanelRows + row % 2;
      for (int lane = 0; lane < lanes; ++lane) {
        pair[2 * lane] = to_bf16(source[lane]);
        from_bf16(pair[2 * lane], columns.rows[static_cast<size_t>((first + lane) * columns.stride + row)]);
      }
    }
  });
  return columns;
}

template <typename T>
void add_products(float* gram, const ActivationRows& x, const KernelTable& kernels, ThreadPool& pool) {
  const Columns<T> columns = transpose<T>(x, pool);
  const int chunks = (x.cols + kOutputRows - 1) / kOutputRows;
  pool.run(chunks, [&](int task, int) {
    const int chunk = chunks - 1 - task;  // the longest rows of the triangle first
    const int first = chunk * kOutputRows, rows = std::min(kOutputRows, x.cols - first);
    std::vector<float> product(size_t{kOutputRows} * kPanelRows);
    for (int column = 0; column < first + rows; column += kPanelRows) {
      const int width = std::min(kPanelRows, x.cols - column);
      kernels.matmul({.x = columns.rows.data() + first * columns.stride,
                      .x_stride = columns.stride,
                      .x_type = x.dtype,
                      .w = columns.panels.data() + column / kPanelRows * panel_elements(columns.pairs),
                      .w_type = DType::kBF16,
                      .out = product.data(),
                      .out_stride = kPanelRows,
                      .bias = nullptr,
                      .rows = rows,
                      .columns = width,
                      .pairs = columns.pairs});
      for (int row = 0; row < rows; ++row) {
        float* const out = gram + int64_t{first + row} * x.cols + column;
        for (int i = 0; i < width; ++i) out[i] += product[static_cast<size_t>(row * kPanelRows + i)];
      }
    }
  });
}

}  // namespace

void add_gram_matrix(float* gram, const ActivationRows& x, const KernelTable& kernels, ThreadPool& pool) {
  if (x.rows == 0) return;
  if (x.dtype == DType::kBF16)
    add_products<uint16_t>(gram, x, kernels, pool);
  else
    add_products<float>(gram, x, kernels, pool);
}

}  // namespace qwen
