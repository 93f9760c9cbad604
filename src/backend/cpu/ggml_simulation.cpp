// See ggml_simulation.h. A block's integers are exact in bf16, so the products over a block are the kernel's on bf16
// weights and f32 activations; its scale is multiplied after that, as ggml does.
#include "backend/cpu/ggml_simulation.h"

#include <algorithm>

#include "backend/cpu/host_memory.h"
#include "backend/cpu/integer_weights.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/stacked_rows.h"
#include "base/error.h"
#include "quant/ggml_block.h"
#include "quant/stored_floats.h"

namespace qwen {
namespace {

constexpr int kRows = 256;  // of a matmul task
constexpr int kPairs = kGgmlBlock / 2;
constexpr int kBlockWeights = kGgmlBlock * kPanelRows;

// 32 inputs of 32 outputs; panels lie [rows / 32][cols / 32].
struct GgmlPanel {
  uint16_t scales[kPanelRows];
  int8_t q[kBlockWeights];  // [kPairs][kPanelRows][2], as the matrix product wants its weights

  int8_t& at(int input, int lane) { return q[(input / 2 * kPanelRows + lane) * 2 + input % 2]; }
  int8_t at(int input, int lane) const { return q[(input / 2 * kPanelRows + lane) * 2 + input % 2]; }
};

GgmlBlock quantize(const float* values, const QuantFormat& format) {
  return format.bits == 8 ? quantize_q8_0(values) : quantize_q4_0(values);
}

void pack_panels(GgmlPanel* panel, int first_row, int rows, std::span<const HostMatrix> stacked,
                 const QuantFormat& format) {
  const int64_t cols = stacked[0].cols;
  for (int64_t col = 0; col < cols; col += kGgmlBlock, ++panel) {
    for_each_run(stacked, first_row, rows, [&](int lane, const HostMatrix& m, int64_t row, int run) {
      for (int i = 0; i < run; ++i) {
        float values[kGgmlBlock];
        read_floats(m.weight, (row + i) * cols + col, kGgmlBlock, values);
        const GgmlBlock block = quantize(values, format);
        panel->scales[lane + i] = block.scale;
        for (int at = 0; at < kGgmlBlock; ++at) panel->at(at, lane + i) = block.q[at];
      }
    });
  }
}

const float* row_of(const MatmulInput& input, int row) {
  return input.buffer.as<float>() + row * activation_stride(input.cols, sizeof(float));
}

}  // namespace

GgmlSimulation::GgmlSimulation(const KernelSet& kernels, int threads)
    : CpuBackend(kernels, threads), products_(static_cast<size_t>(threads) * 2 * kRows * kPanelRows) {
  QWEN_CHECK(kernels.activation == DType::kF32);
}

size_t GgmlSimulation::weight_bytes(int64_t rows, int64_t cols, DType stored, const QuantFormat& format) const {
  if (!is_integer(format)) return CpuBackend::weight_bytes(rows, cols, stored, format);
  const int64_t block_bytes = format.bits == 8 ? kQ8BlockBytes : kQ4BlockBytes;
  return static_cast<size_t>(rows * (cols / kGgmlBlock) * block_bytes);
}

MatmulInput GgmlSimulation::alloc_matmul_input(int max_rows, int cols, const QuantFormat&) {
  const size_t rounded = static_cast<size_t>(max_rows * activation_stride(cols, sizeof(float)));
  rounded_.resize(std::max(rounded_.size(), rounded));
  return CpuBackend::alloc_matmul_input(max_rows, cols, {});
}

Matrix GgmlSimulation::prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) {
  if (!is_integer(format)) throw Error(ErrorCode::kInternal, "llama.cpp is simulated with int8 and int4 weights only");
  Matrix matrix{.format = format, .rows = check_stack(stacked), .cols = static_cast<int>(stacked[0].cols)};
  for (const HostMatrix& m : stacked) {
    if (m.format.kind != QuantFormat::Kind::kNone)
      throw Error(ErrorCode::kBadData,
                  "weights that are quantized already cannot be quantized again; take the unquantized model");
  }
  if (matrix.cols % kGgmlBlock != 0) {
    throw Error(ErrorCode::kBadData,
                str("weights with ", matrix.cols, " input features: Q8_0 and Q4_0 need a multiple of ", kGgmlBlock));
  }
  const int panels = (matrix.rows + kPanelRows - 1) / kPanelRows, blocks = matrix.cols / kGgmlBlock;
  matrix.buffer =
      allocate_host_memory(static_cast<size_t>(panels) * static_cast<size_t>(blocks) * sizeof(GgmlPanel), "weights");
  pool().run(panels, [&](int index, int) {
    const int first = index * kPanelRows, rows = std::min(kPanelRows, matrix.rows - first);
    pack_panels(matrix.buffer.as<GgmlPanel>() + int64_t{index} * blocks, first, rows, stacked, format);
  });
  return matrix;
}

void GgmlSimulation::embed(Tensor& out, const Matrix& table, std::span<const int32_t> token_ids) {
  QWEN_CHECK(static_cast<int64_t>(token_ids.size()) <= out.shape[0] && out.shape[1] == table.cols);
  float* to = out.buffer.as<float>();
  for (const int32_t id : token_ids) {
    if (id < 0 || id >= table.rows)
      throw Error(ErrorCode::kInvalidValue, str("token id ", id, " is outside the model's vocabulary of ", table.rows));
    const int lane = id % kPanelRows, blocks = table.cols / kGgmlBlock;
    const GgmlPanel* panel = table.buffer.as<GgmlPanel>() + int64_t{id / kPanelRows} * blocks;
    for (int block = 0; block < blocks; ++block, ++panel) {
      const float scale = f16_to_f32(panel->scales[lane]);
      for (int i = 0; i < kGgmlBlock; ++i) *to++ = scale * static_cast<float>(panel->at(i, lane));
    }
  }
}

void GgmlSimulation::round_activations(const MatmulInput& in, int rows) {
  const int64_t stride = activation_stride(in.cols, sizeof(float));
  pool().run(rows, [&](int row, int) {
    const float* const from = row_of(in, row);
    float* const to = rounded_.data() + row * stride;
    for (int col = 0; col < in.cols; col += kGgmlBlock) {
      const GgmlBlock block = quantize_q8_0(from + col);
      for (int i = 0; i < kGgmlBlock; ++i) to[col + i] = block.value(i);
    }
  });
}

void GgmlSimulation::matmul(Tensor& out, const MatmulInput& in, const Matrix& weight, const Tensor* bias, int rows) {
  QWEN_CHECK(rows <= out.shape[0] && rows <= in.max_rows && in.cols == weight.cols && out.shape[1] == weight.rows);
  QWEN_CHECK(in.dtype == DType::kF32 && (bias == nullptr || bias->shape[0] == weight.rows));
  round_activations(in, rows);
  const int64_t stride = activation_stride(in.cols, sizeof(float));
  const int panels = (weight.rows + kPanelRows - 1) / kPanelRows, blocks = weight.cols / kGgmlBlock;
  const int chunks = (rows + kRows - 1) / kRows;
  pool().run(chunks * panels, [&](int task, int worker) {
    const int first_row = task / panels * kRows, index = task % panels, column = index * kPanelRows;
    const int task_rows = std::min(kRows, rows - first_row), columns = std::min(kPanelRows, weight.rows - column);
    float* const product = products_.data() + static_cast<size_t>(worker) * 2 * kRows * kPanelRows;
    float* const sum = product + kRows * kPanelRows;
    std::fill_n(sum, task_rows * kPanelRows, 0.0f);
    const GgmlPanel* panel = weight.buffer.as<GgmlPanel>() + int64_t{index} * blocks;
    for (int block = 0; block < blocks; ++block, ++panel) {
      alignas(64) uint16_t integers[kBlockWeights];
      for (int i = 0; i < kBlockWeights; ++i) integers[i] = f32_to_bf16(static_cast<float>(panel->q[i]));
      kernel_set().table.matmul({.x = rounded_.data() + first_row * stride + int64_t{block} * kGgmlBlock,
                                 .x_stride = stride,
                                 .x_type = DType::kF32,
                                 .w = integers,
                                 .w_type = DType::kBF16,
                                 .out = product,
                                 .out_stride = kPanelRows,
                                 .bias = nullptr,
                                 .rows = task_rows,
                                 .columns = kPanelRows,
                                 .pairs = kPairs});
      float scales[kPanelRows];
      for (int lane = 0; lane < kPanelRows; ++lane) scales[lane] = f16_to_f32(panel->scales[lane]);
      for (int i = 0; i < task_rows * kPanelRows; ++i) sum[i] += scales[i % kPanelRows] * product[i];
    }
    for (int row = 0; row < task_rows; ++row) {
      float* const to = out.buffer.as<float>() + (first_row + row) * out.shape[1] + column;
      for (int c = 0; c < columns; ++c)
        to[c] = sum[row * kPanelRows + c] + (bias ? bias->buffer.as<float>()[column + c] : 0.0f);
    }
  });
}

}  // namespace qwen
