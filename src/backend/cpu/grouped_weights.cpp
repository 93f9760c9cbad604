// See grouped_weights.h.
#include "backend/cpu/grouped_weights.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/cpu/adopted_weights.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/stacked_rows.h"
#include "base/dtype.h"
#include "base/error.h"
#include "quant/matrix_parts.h"
#include "quant/stored_floats.h"
#include "quant/stored_groups.h"

namespace qwen {
namespace {

using Order = std::vector<int32_t>;  // the input at each place; empty: as they are

int middle(int bits) { return 1 << (bits - 1); }

// Whether every run of group_size places holds inputs of one group, as it does wherever groups are not shuffled.
bool in_groups(const HostMatrix& m, const Order& order) {
  const int64_t size = m.format.group_size;
  const auto group_at = [&](int64_t place) {
    return group_of(m, order.empty() ? place : order[static_cast<size_t>(place)]);
  };
  for (int64_t place = 0; place < m.cols; ++place)
    if (group_at(place) != group_at(place / size * size)) return false;
  return true;
}

// The inputs sorted by group, where that is needed to have them in groups.
Order find_order(const HostMatrix& m) {
  if (m.g_idx.data == nullptr || in_groups(m, {})) return {};
  Order order(static_cast<size_t>(m.cols));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return group_of(m, a) < group_of(m, b); });
  return order;
}

// Whether both say the same about the groups of their inputs, word for word.
bool same_order(const HostMatrix& a, const HostMatrix& b) {
  if (a.g_idx.data == nullptr || b.g_idx.data == nullptr) return a.g_idx.data == b.g_idx.data;
  return std::memcmp(a.g_idx.data, b.g_idx.data, a.g_idx.size_bytes()) == 0;
}

// A panel as it is written, group by group.
class PanelWriter {
 public:
  PanelWriter(uint8_t* panel, int first_row, int rows, std::span<const HostMatrix> stacked, const QuantFormat& format,
              const int32_t* order)
      : to_(panel), first_row_(first_row), rows_(rows), stacked_(stacked), format_(format), order_(order) {}

  void write() {
    const int cols = static_cast<int>(stacked_[0].cols);
    for (int col = 0; col < cols; col += format_.group_size) {
      const int end = col < cols - format_.group_size ? col + format_.group_size : cols;
      write_header(input_at(col));
      for (int begin = col; begin < end; begin += kGroupedBlock)
        write_block(begin, std::min(kGroupedBlock, end - begin));
    }
  }

 private:
  int64_t input_at(int place) const { return order_ ? order_[place] : place; }

  // Of the group that input `col` is in.
  void write_header(int64_t col) {
    float scales[kPanelRows] = {};
    uint8_t zeros[kPanelRows];
    std::memset(zeros, middle(format_.bits), sizeof zeros);
    for_each_run(stacked_, first_row_, rows_, [&](int lane, const HostMatrix& m, int64_t row, int count) {
      read_stored_scales(m, group_of(m, col), row, count, scales + lane);
      read_stored_zeros(m, group_of(m, col), row, count, zeros + lane);
    });
    if (format_.wide_scales) {
      std::memcpy(to_, scales, sizeof scales);
    } else {
      for (int lane = 0; lane < kPanelRows; ++lane) write_f16(lane, scales[lane]);
    }
    to_ += grouped_scale_bytes(format_.wide_scales);
    if (!format_.zero_points) return;
    for (int lane = 0; lane < kPanelRows; ++lane)
      write_f16(lane, static_cast<float>(int{zeros[lane]} - middle(format_.bits)));
    to_ += kPanelRows * sizeof(uint16_t);
  }

  void write_f16(int index, float value) {
    const uint16_t bits = f32_to_f16(value);
    std::memcpy(to_ + static_cast<size_t>(index) * sizeof bits, &bits, sizeof bits);
  }

  void write_block(int begin, int count) {
    uint8_t q[kGroupedBlock][kPanelRows] = {};
    for (int i = 0; i < count; ++i) {
      for_each_run(stacked_, first_row_, rows_, [&](int lane, const HostMatrix& m, int64_t row, int run) {
        read_stored_integers(m, input_at(begin + i), row, run, q[i] + lane);
      });
    }
    const int inputs = 32 / format_.bits;  // of a step
    for (int i = 0; i < kGroupedBlock; i += inputs, to_ += kGroupedStepBytes) {
      for (int lane = 0; lane < kPanelRows; ++lane) {
        for (int j = 0; j < 4; ++j)
          to_[lane * 4 + j] =
              static_cast<uint8_t>(inputs == 4 ? q[i + j][lane] : q[i + j][lane] | q[i + 4 + j][lane] << 4);
      }
    }
  }

  uint8_t* to_;
  const int first_row_, rows_;
  const std::span<const HostMatrix> stacked_;
  const QuantFormat& format_;
  const int32_t* const order_;
};

size_t order_bytes(const QuantFormat& format, int64_t cols) {
  return format.reordered ? static_cast<size_t>(cols) * sizeof(int32_t) : 0;
}

bool is_permutation(const int32_t* order, int cols) {
  std::vector<bool> seen(static_cast<size_t>(cols));
  for (int i = 0; i < cols; ++i) {
    if (order[i] < 0 || order[i] >= cols || seen[static_cast<size_t>(order[i])]) return false;
    seen[static_cast<size_t>(order[i])] = true;
  }
  return true;
}

}  // namespace

std::optional<QuantFormat> expected_grouped_format(const QuantFormat& stored, int64_t cols) {
  if (!has_stored_groups(stored)) return std::nullopt;
  // One group, however large the configuration says it is, is as wide as the padded row.
  const int64_t row = int64_t{grouped_blocks(static_cast<int>(cols))} * kGroupedBlock;
  const int64_t size = std::min<int64_t>(stored.group_size, row);
  if (size < 1 || size % kGroupedBlock != 0) return std::nullopt;
  return QuantFormat{.kind = QuantFormat::Kind::kGrouped,
                     .bits = stored.bits,
                     .group_size = static_cast<int>(size),
                     .zero_points = stored.kind == QuantFormat::Kind::kAwq};
}

std::optional<QuantFormat> grouped_format(std::span<const HostMatrix> stacked) {
  const HostMatrix& first = stacked[0];
  std::optional<QuantFormat> format = expected_grouped_format(first.format, first.cols);
  if (!format) return std::nullopt;
  const Order order = find_order(first);
  if (!order.empty() && !in_groups(first, order)) return std::nullopt;
  format->reordered = !order.empty();
  for (const HostMatrix& m : stacked) {
    if (!has_stored_groups(m.format) || m.format.bits != format->bits || m.cols != first.cols ||
        m.format.group_size != first.format.group_size ||
        (!same_order(m, first) && (find_order(m) != order || !in_groups(m, order))))
      return std::nullopt;
    format->wide_scales |= m.scales.dtype != DType::kF16;
  }
  // The most that there is to read, once it is known to matter.
  format->zero_points = !std::all_of(stacked.begin(), stacked.end(), [](const HostMatrix& m) {
    return all_stored_zeros_are(m, static_cast<uint8_t>(middle(m.format.bits)));
  });
  return format;
}

size_t grouped_panel_bytes(const QuantFormat& format, int cols) {
  const size_t groups = static_cast<size_t>((int64_t{cols} + format.group_size - 1) / format.group_size);
  return groups * grouped_header_bytes(format.wide_scales, format.zero_points) +
         static_cast<size_t>(grouped_blocks(cols)) * grouped_block_bytes(format.bits);
}

size_t grouped_weight_bytes(const QuantFormat& format, int64_t rows, int64_t cols) {
  const size_t panels = static_cast<size_t>((rows + kPanelRows - 1) / kPanelRows);
  return panels * grouped_panel_bytes(format, static_cast<int>(cols)) + order_bytes(format, cols);
}

Matrix pack_grouped_weights(std::span<const HostMatrix> stacked, const QuantFormat& format, ThreadPool& pool) {
  Matrix matrix{.format = format, .rows = check_stack(stacked), .cols = static_cast<int>(stacked[0].cols)};
  const int panels = (matrix.rows + kPanelRows - 1) / kPanelRows;
  const size_t panel_bytes = grouped_panel_bytes(format, matrix.cols);
  matrix.buffer = allocate_host_memory(grouped_weight_bytes(format, matrix.rows, matrix.cols), "weights");
  uint8_t* const data = matrix.buffer.as<uint8_t>();
  const Order order = find_order(stacked[0]);
  if (format.reordered)
    std::memcpy(data + static_cast<size_t>(panels) * panel_bytes, order.data(), order_bytes(format, matrix.cols));
  pool.run(panels, [&](int index, int) {
    const int first = index * kPanelRows, rows = std::min(kPanelRows, matrix.rows - first);
    PanelWriter(data + static_cast<size_t>(index) * panel_bytes, first, rows, stacked, format, input_order(matrix))
        .write();
  });
  return matrix;
}

Matrix adopt_grouped_weights(const HostMatrix& packed) {
  const QuantFormat& format = packed.format;
  if (format.group_size < 1 || format.group_size % kGroupedBlock != 0 || (format.bits != 4 && format.bits != 8))
    throw Error(ErrorCode::kInternal, str("packed weights in groups of ", format.group_size));
  const Matrix matrix = adopt_weights(packed, grouped_weight_bytes);
  if (const int32_t* order = input_order(matrix); order != nullptr && !is_permutation(order, matrix.cols))
    throw Error(ErrorCode::kBadData,
                str("packed weights of [", packed.rows, ", ", packed.cols, "]: the order of their inputs is damaged"));
  return matrix;
}

const int32_t* input_order(const Matrix& matrix) {
  if (!matrix.format.reordered) return nullptr;
  const size_t panels = static_cast<size_t>((matrix.rows + kPanelRows - 1) / kPanelRows);
  return reinterpret_cast<const int32_t*>(matrix.buffer.as<std::byte>() +
                                          panels * grouped_panel_bytes(matrix.format, matrix.cols));
}

GroupedMatmulTask grouped_task(const Matrix& matrix) {
  GroupedMatmulTask task = {};
  task.blocks = grouped_blocks(matrix.cols);
  task.group_blocks = matrix.format.group_size / kGroupedBlock;
  task.zero_points = matrix.format.zero_points;
  task.wide_scales = matrix.format.wide_scales;
  return task;
}

void unpack_grouped_row(const Matrix& matrix, int row, float* out) {
  const QuantFormat& format = matrix.format;
  const int32_t* const order = input_order(matrix);
  const int lane = row % kPanelRows, inputs = 32 / format.bits;
  const uint8_t* w =
      matrix.buffer.as<uint8_t>() + static_cast<size_t>(row / kPanelRows) * grouped_panel_bytes(format, matrix.cols);
  const auto f16_at = [&](const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p + static_cast<size_t>(lane) * sizeof bits, sizeof bits);
    return f16_to_f32(bits);
  };
  float scale = 0, zero = 0;
  for (int col = 0; col < matrix.cols; ++col) {
    if (col % format.group_size == 0) {
      if (format.wide_scales)
        std::memcpy(&scale, w + static_cast<size_t>(lane) * sizeof scale, sizeof scale);
      else
        scale = f16_at(w);
      if (format.zero_points) zero = f16_at(w + grouped_scale_bytes(format.wide_scales));
      w += grouped_header_bytes(format.wide_scales, format.zero_points);
    }
    const int i = col % inputs, byte = w[lane * 4 + i % 4];
    const int q = (format.bits == 8 ? byte : i < 4 ? byte & 15 : byte >> 4) - middle(format.bits);
    out[order ? order[col] : col] = scale * (static_cast<float>(q) - zero);
    if (i == inputs - 1) w += kGroupedStepBytes;
  }
}

}  // namespace qwen
