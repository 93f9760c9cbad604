#include "backend/cpu/integer_weights.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "backend/cpu/adopted_weights.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/stacked_rows.h"
#include "base/dtype.h"
#include "base/error.h"
#include "quant/dequantize.h"
#include "quant/integer_rows.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

// Panels of a group of inputs, each with scales of its own.
template <typename Panel>
constexpr int kParts = 1;
template <>
constexpr int kParts<Int4HalfPanel> = 2;

void put_row(Int8Panel& panel, int lane, const uint8_t* q, uint16_t scale) {
  panel.scales[lane] = scale;
  for (int quad = 0; quad < kQuads; ++quad) std::memcpy(panel.q[quad][lane], q + 4 * quad, 4);
}

template <typename Panel>  // Int4Panel, Int4HalfPanel
void put_row(Panel& panel, int lane, const uint8_t* q, uint16_t scale) {
  panel.scales[lane] = scale;
  for (size_t pair = 0; pair < std::size(panel.q); ++pair, q += 8) {
    uint32_t low, high;
    std::memcpy(&low, q, sizeof low);
    std::memcpy(&high, q + 4, sizeof high);
    low |= high << 4;
    std::memcpy(panel.q[pair][lane], &low, sizeof low);
  }
}

int value_at(const Int8Panel& panel, int lane, int input) {
  return int{panel.q[input / 4][lane][input % 4]} - kInt8Offset;
}
template <typename Panel>
int value_at(const Panel& panel, int lane, int input) {
  return (panel.q[input / 8][lane][input % 4] >> (input % 8 < 4 ? 0 : 4) & 15) - kInt4Offset;
}

bool is_plain(const HostMatrix& m) { return m.format.kind == QuantFormat::Kind::kNone; }

// Of formats that are neither floats nor integers in rotated groups: GPTQ, AWQ, FP8.
bool needs_dequantizing(const HostMatrix& m) { return !is_plain(m) && !is_integer_rows(m); }

// A group of one row, quantized or as a folder has it.
struct GroupTask {
  int col, count, bits, parts;
  uint8_t* q;        // [kIntegerGroup], q + offset
  uint16_t* scales;  // [parts]
};

// `values`: [kIntegerGroup], zeros behind the task's count.
void quantize_values(float* values, const GroupTask& t, const IntegerKernels& kernels) {
  kernels.quantize_weights({values, t.count, t.bits, t.q, t.scales, kIntegerGroup / t.parts});
}

void quantize_group(const HostMatrix& m, int64_t row, const GroupTask& t, const IntegerKernels& kernels) {
  alignas(64) float values[kIntegerGroup] = {};
  read_floats(m.weight, row * m.cols + t.col, t.count, values);
  quantize_values(values, t, kernels);
}

void quantize_dequantized(const float* row, const GroupTask& t, const IntegerKernels& kernels) {
  alignas(64) float values[kIntegerGroup] = {};
  std::copy_n(row + t.col, t.count, values);
  quantize_values(values, t, kernels);
}

void copy_group(const HostMatrix& m, int64_t row, const GroupTask& t) {
  int8_t q[kIntegerGroup] = {};
  read_integers(m, row, t.col, t.count, q);
  for (int i = 0; i < kIntegerGroup; ++i)
    t.q[i] = static_cast<uint8_t>(q[i] + (t.bits == 8 ? kInt8Offset : kInt4Offset));
  const int64_t stored = num_groups(m), first = int64_t{t.col} / kIntegerGroup * t.parts;
  for (int part = 0; part < t.parts; ++part)
    t.scales[part] =
        first + part < stored ? read_element<uint16_t>(m.scales, row * stored + first + part) : uint16_t{0};
}

// One panel, a group at a time: its 32 rows are read side by side, 128 inputs each. What has to be dequantized is so
// first, to `scratch`: [kPanelRows, cols].
template <typename Panel>
void pack_panel(Panel* panel, int first_row, int rows, std::span<const HostMatrix> stacked, int bits,
                const IntegerKernels& kernels, float* scratch) {
  constexpr int kScales = kParts<Panel>, kPart = kIntegerGroup / kScales;
  const int cols = static_cast<int>(stacked[0].cols);
  const auto dequantized = [&](int lane) { return scratch + int64_t{lane} * cols; };
  for_each_run(stacked, first_row, rows, [&](int lane, const HostMatrix& m, int64_t row, int run) {
    if (needs_dequantizing(m)) dequantize_rows(m, row, run, dequantized(lane));
  });
  for (int col = 0; col < cols; col += kIntegerGroup, panel += kScales) {
    const int count = std::min(kIntegerGroup, cols - col);
    alignas(64) uint8_t q[kIntegerGroup];
    uint16_t scales[kScales];
    const GroupTask task{col, count, bits, kScales, q, scales};
    for_each_run(stacked, first_row, rows, [&](int lane, const HostMatrix& m, int64_t row, int run) {
      for (int i = 0; i < run; ++i) {
        if (is_plain(m))
          quantize_group(m, row + i, task, kernels);
        else if (is_integer_rows(m))
          copy_group(m, row + i, task);
        else
          quantize_dequantized(dequantized(lane + i), task, kernels);
        for (int part = 0; part < kScales; ++part) put_row(panel[part], lane + i, q + part * kPart, scales[part]);
      }
    });
    std::memset(q, bits == 8 ? kInt8Offset : kInt4Offset, sizeof q);
    for (int lane = rows; lane < kPanelRows; ++lane) {
      for (int part = 0; part < kScales; ++part) put_row(panel[part], lane, q, 0);
    }
  }
}

template <typename Panel>
void unpack(const Matrix& matrix, int row, const IntegerKernels& kernels, float* out) {
  constexpr int kScales = kParts<Panel>, kPart = kIntegerGroup / kScales;
  const int groups = integer_groups(matrix.cols), lane = row % kPanelRows;
  const Panel* panel = matrix.buffer.as<Panel>() + static_cast<int64_t>(row / kPanelRows) * groups * kScales;
  for (int col = 0; col < matrix.cols; col += kIntegerGroup, panel += kScales, out += kIntegerGroup) {
    const int count = std::min(kIntegerGroup, matrix.cols - col);
    for (int i = 0; i < count; ++i) {
      const Panel& part = panel[i / kPart];
      out[i] = bf16_to_f32(part.scales[lane]) * static_cast<float>(value_at(part, lane, i % kPart));
    }
    kernels.rotate(out, count);
  }
}

}  // namespace

size_t integer_panel_bytes(const QuantFormat& format, int cols) {
  const size_t group = format.kind == QuantFormat::Kind::kInt8 ? sizeof(Int8Panel)
                       : is_int4_half(format)                  ? 2 * sizeof(Int4HalfPanel)
                                                               : sizeof(Int4Panel);
  return group * static_cast<size_t>(integer_groups(cols));
}

size_t integer_weight_bytes(const QuantFormat& format, int64_t rows, int64_t cols) {
  const size_t panels = static_cast<size_t>((rows + kPanelRows - 1) / kPanelRows);
  return panels * integer_panel_bytes(format, static_cast<int>(cols));
}

Matrix adopt_integer_weights(const HostMatrix& packed) { return adopt_weights(packed, integer_weight_bytes); }

Matrix pack_integer_weights(std::span<const HostMatrix> stacked, const QuantFormat& format,
                            const IntegerKernels& kernels, ThreadPool& pool) {
  Matrix matrix{.format = format, .rows = check_stack(stacked), .cols = static_cast<int>(stacked[0].cols)};
  for (const HostMatrix& m : stacked) {
    if (m.format.kind == QuantFormat::Kind::kGrouped ||
        (is_integer(m.format) && !(m.format == format && is_integer_rows(m))))
      throw Error(ErrorCode::kBadData, "weights that are quantized already cannot be quantized again");
  }
  const bool dequantizes = std::any_of(stacked.begin(), stacked.end(), needs_dequantizing);
  const size_t scratch_size = dequantizes ? static_cast<size_t>(matrix.cols) * kPanelRows : 0;
  std::vector<float> scratch(scratch_size * static_cast<size_t>(pool.threads()));
  const int panels = (matrix.rows + kPanelRows - 1) / kPanelRows;
  const size_t panel_bytes = integer_panel_bytes(format, matrix.cols);
  matrix.buffer = allocate_host_memory(static_cast<size_t>(panels) * panel_bytes, "weights");
  pool.run(panels, [&](int index, int worker) {
    float* const own = scratch.data() + scratch_size * static_cast<size_t>(worker);
    std::byte* const panel = matrix.buffer.as<std::byte>() + static_cast<size_t>(index) * panel_bytes;
    const int first = index * kPanelRows, rows = std::min(kPanelRows, matrix.rows - first);
    if (format.kind == QuantFormat::Kind::kInt8) {
      pack_panel(reinterpret_cast<Int8Panel*>(panel), first, rows, stacked, 8, kernels, own);
    } else if (is_int4_half(format)) {
      pack_panel(reinterpret_cast<Int4HalfPanel*>(panel), first, rows, stacked, 4, kernels, own);
    } else {
      pack_panel(reinterpret_cast<Int4Panel*>(panel), first, rows, stacked, 4, kernels, own);
    }
  });
  return matrix;
}

void quantize_integer_rows(const HostMatrix& plain, int64_t first, int64_t count, const QuantFormat& format,
                           const IntegerKernels& kernels, ThreadPool& pool, uint8_t* qweight, uint16_t* scales) {
  QWEN_CHECK(plain.format.kind == QuantFormat::Kind::kNone && first + count <= plain.rows);
  const IntegerRowsShape shape = integer_rows_shape(format, count, plain.cols);
  const int64_t row_bytes = shape.qweight[1], row_scales = shape.scales[1];
  const int cols = static_cast<int>(plain.cols), parts = kIntegerGroup / format.group_size;
  const int offset = format.bits == 8 ? kInt8Offset : kInt4Offset;
  pool.run(static_cast<int>(count), [&](int row, int) {
    uint8_t* const out = qweight + row * row_bytes;
    alignas(64) uint8_t q[kIntegerGroup];
    uint16_t found[kIntegerGroup / kHalfGroup];
    for (int col = 0; col < cols; col += kIntegerGroup) {
      const int size = std::min(kIntegerGroup, cols - col), group = col / kIntegerGroup * parts;
      quantize_group(plain, first + row, {col, size, format.bits, parts, q, found}, kernels);
      write_integers(format, q, size, offset, out + (format.bits == 8 ? col : col / 2));
      for (int64_t part = 0; part < parts && group + part < row_scales; ++part)
        scales[row * row_scales + group + part] = found[part];
    }
  });
}

void unpack_integer_row(const Matrix& matrix, int row, const IntegerKernels& kernels, float* out) {
  if (matrix.format.kind == QuantFormat::Kind::kInt8) return unpack<Int8Panel>(matrix, row, kernels, out);
  if (is_int4_half(matrix.format)) return unpack<Int4HalfPanel>(matrix, row, kernels, out);
  return unpack<Int4Panel>(matrix, row, kernels, out);
}

}  // namespace qwen
