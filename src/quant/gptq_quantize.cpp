// Rows are independent of each other: a task takes a few through all inputs, a block at a time.
#include "quant/gptq_quantize.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"

namespace qwen {
namespace {

constexpr int64_t kBlock = 128;  // places whose feedback is gathered at once; a multiple of every group size but -1
constexpr int64_t kRows = 32;    // of a task: one pass over U serves them all
constexpr int64_t kPlaces = 64;  // of U at a time, so that a piece [kPlaces, kBlock] stays in the L1 cache

int64_t resolved_group(int64_t group_size, int64_t cols) { return group_size == -1 ? cols : group_size; }

// out[k] += Σ e[j] · U[j][first + k], k < count, j from `begin` to `end`, four at a time.
void add_products(float* out, int64_t count, const float* e, const HessianFactor& factor, int64_t begin, int64_t end,
                  int64_t first) {
  int64_t j = begin;
  for (; j + 4 <= end; j += 4) {
    const float e0 = e[j], e1 = e[j + 1], e2 = e[j + 2], e3 = e[j + 3];
    const float *u0 = factor.row(j) + first, *u1 = factor.row(j + 1) + first, *u2 = factor.row(j + 2) + first,
                *u3 = factor.row(j + 3) + first;
    for (int64_t k = 0; k < count; ++k) out[k] = out[k] + e0 * u0[k] + e1 * u1[k] + e2 * u2[k] + e3 * u3[k];
  }
  for (; j < end; ++j) {
    const float* const u = factor.row(j) + first;
    for (int64_t k = 0; k < count; ++k) out[k] += e[j] * u[k];
  }
}

// One row.
class RowRounder {
 public:
  RowRounder(const HessianFactor& factor, const GptqOptions& options, GptqMatrix& out)
      : factor_(factor),
        options_(options),
        out_(out),
        cols_(factor.size()),
        group_(resolved_group(options.group_size, cols_)),
        grids_(static_cast<size_t>((cols_ + group_ - 1) / group_)),
        errors_(static_cast<size_t>(cols_)) {}

  void begin(const float* weights, int64_t row) {
    weights_ = weights;
    row_ = row;
    if (!at_start()) return;
    for (int64_t g = 0; g * group_ < cols_; ++g) set_grid(g, weights + g * group_, nullptr);
  }

  const float* errors() const { return errors_.data(); }

  // The places [first, first + count); `feedback` holds what all earlier ones say about them, and is used up.
  void round_block(int64_t first, int64_t count, float* feedback) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = first + i, input = factor_.order()[static_cast<size_t>(place)];
      if (!at_start() && place % group_ == 0) choose_grid_with(place, std::min(group_, cols_ - place), feedback + i);
      const GptqGrid& grid = grids_[static_cast<size_t>(input / group_)];
      const int q = grid.round(weights_[input] + feedback[i], most());
      out_.set(row_, input, q);
      const float error = weights_[input] - grid.value(q);
      errors_[static_cast<size_t>(place)] = error;
      const float* const u = factor_.row(place) + first;
      for (int64_t k = i + 1; k < count; ++k) feedback[k] += error * u[k];
    }
  }

 private:
  int most() const { return (1 << options_.grid.bits) - 1; }
  bool at_start() const { return options_.hessian.act_order || group_ > kBlock; }

  void set_grid(int64_t group, const float* weights, const float* importance) {
    const int64_t n = std::min(group_, cols_ - group * group_);
    grids_[static_cast<size_t>(group)] = choose_grid(weights, importance, n, options_.grid);
    out_.set_grid(row_, group, grids_[static_cast<size_t>(group)]);
  }

  // A group's weights as they would best be if nothing more were rounded: x·U = feedback within the group.
  void choose_grid_with(int64_t first, int64_t count, const float* feedback) {
    float x[kBlock];
    std::copy_n(feedback, count, x);
    for (int64_t j = 0; j < count; ++j) {
      const float* const u = factor_.row(first + j) + first;
      for (int64_t k = j + 1; k < count; ++k) x[k] -= x[j] * u[k];
    }
    for (int64_t k = 0; k < count; ++k) x[k] += weights_[first + k];
    set_grid(first / group_, x, factor_.weights().data() + first);
  }

  const HessianFactor& factor_;
  const GptqOptions& options_;
  GptqMatrix& out_;
  const int64_t cols_, group_;
  std::vector<GptqGrid> grids_;
  std::vector<float> errors_;  // by place
  const float* weights_ = nullptr;
  int64_t row_ = 0;
};

constexpr float kLargestF16 = 65504;

// Whether grids can be laid over them. By their bits: what is not finite is larger than every number, and the loop
// becomes vectors.
bool fit_f16(std::span<const float> weights) {
  uint32_t largest = 0;
  for (const float w : weights) largest = std::max(largest, std::bit_cast<uint32_t>(w) & 0x7fffffffu);
  return largest <= std::bit_cast<uint32_t>(kLargestF16);
}

[[noreturn]] void refuse(std::span<const float> weights) {
  const float w = *std::find_if(weights.begin(), weights.end(), [](float v) { return !(std::fabs(v) <= kLargestF16); });
  if (!std::isfinite(w))
    throw Error(ErrorCode::kBadData, "a weight is not finite; the file is damaged, download it again");
  throw Error(ErrorCode::kBadData, str("a weight is ", w,
                                       ", but GPTQ's scales are float16, which ends at 65504; if the file is not "
                                       "damaged, use the format int8"));
}

// body(first row, how many) for all rows, kRows at a time, of weights that fit.
void for_row_blocks(std::span<const float> weights, int64_t rows, int64_t cols, ThreadPool& pool,
                    FunctionRef<void(int64_t begin, int64_t count)> body) {
  std::atomic<int64_t> bad{rows};
  pool.run(static_cast<int>((rows + kRows - 1) / kRows), [&](int task, int) {
    const int64_t begin = task * kRows, count = std::min(kRows, rows - begin);
    if (fit_f16(weights.subspan(static_cast<size_t>(begin * cols), static_cast<size_t>(count * cols))))
      return body(begin, count);
    bad = begin;
  });
  if (bad < rows) refuse(weights.subspan(static_cast<size_t>(bad * cols)));
}

}  // namespace

GptqMatrix gptq_quantize(std::span<const float> weights, int64_t rows, const HessianFactor& factor,
                         const GptqOptions& options, ThreadPool& pool) {
  const int64_t cols = factor.size();
  QWEN_CHECK(weights.size() == static_cast<size_t>(rows * cols));
  GptqMatrix out(rows, cols, options.grid.bits, resolved_group(options.group_size, cols), gptq_zero_offset(options));
  for_row_blocks(weights, rows, cols, pool, [&](int64_t begin, int64_t count) {
    std::vector<RowRounder> rounders(static_cast<size_t>(count), RowRounder(factor, options, out));
    for (int64_t r = 0; r < count; ++r)
      rounders[static_cast<size_t>(r)].begin(weights.data() + (begin + r) * cols, begin + r);
    for (int64_t first = 0; first < cols; first += kBlock) {
      const int64_t size = std::min(kBlock, cols - first);
      float feedback[kRows][kBlock] = {};
      for (int64_t place = 0; place < first; place += kPlaces) {
        for (int64_t r = 0; r < count; ++r)
          add_products(feedback[r], size, rounders[static_cast<size_t>(r)].errors(), factor, place, place + kPlaces,
                       first);
      }
      for (int64_t r = 0; r < count; ++r) rounders[static_cast<size_t>(r)].round_block(first, size, feedback[r]);
    }
  });
  return out;
}

GptqMatrix round_to_nearest(std::span<const float> weights, int64_t rows, int64_t cols, const GptqOptions& options,
                            ThreadPool& pool) {
  const int64_t group = resolved_group(options.group_size, cols);
  GptqMatrix out(rows, cols, options.grid.bits, group, gptq_zero_offset(options));
  for_row_blocks(weights, rows, cols, pool, [&](int64_t begin, int64_t count) {
    for (int64_t row = begin; row < begin + count; ++row) {
      for (int64_t first = 0; first < cols; first += group) {
        const float* const w = weights.data() + row * cols + first;
        const int64_t size = std::min(group, cols - first);
        const GptqGrid grid = choose_grid(w, nullptr, size, options.grid);
        out.set_grid(row, first / group, grid);
        for (int64_t i = 0; i < size; ++i) out.set(row, first + i, grid.round(w[i], (1 << options.grid.bits) - 1));
      }
    }
  });
  return out;
}

double relative_output_error(std::span<const float> weights, std::span<const float> quantized, int64_t rows,
                             std::span<const float> gram, int64_t cols, ThreadPool& pool) {
  std::vector<double> error(static_cast<size_t>(rows)), output(static_cast<size_t>(rows));
  // x·H·xᵀ = Σ x_i · (2 · Σ_{j<i} H_ij · x_j + H_ii · x_i)
  const auto form = [&](const float* x) {
    double sum = 0;
    for (int64_t i = 0; i < cols; ++i) {
      const float* const h = gram.data() + i * cols;
      double lanes[4] = {};
      int64_t j = 0;
      for (; j + 4 <= i; j += 4)
        for (int64_t lane = 0; lane < 4; ++lane) lanes[lane] += double{h[j + lane]} * x[j + lane];
      for (; j < i; ++j) lanes[0] += double{h[j]} * x[j];
      sum += x[i] * (2 * (lanes[0] + lanes[1] + lanes[2] + lanes[3]) + double{h[i]} * x[i]);
    }
    return sum;
  };
  pool.run(static_cast<int>(rows), [&](int row, int) {
    const float* const w = weights.data() + row * cols;
    std::vector<float> difference(static_cast<size_t>(cols));
    for (int64_t i = 0; i < cols; ++i)
      difference[static_cast<size_t>(i)] = w[i] - quantized[static_cast<size_t>(row * cols + i)];
    error[static_cast<size_t>(row)] = form(difference.data());
    output[static_cast<size_t>(row)] = form(w);
  });
  double errors = 0, outputs = 0;
  for (size_t row = 0; row < error.size(); ++row) errors += error[row], outputs += output[row];
  return outputs > 0 ? errors / outputs : 0;
}

}  // namespace qwen
