#include "quant/cholesky.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qwen {
namespace {

constexpr int64_t kBlock = 128;  // columns that are finished at once
constexpr int64_t kRows = 32;    // rows of a task
constexpr int64_t kPanel = 256;  // columns of the trailing matrix that a task passes over at once: 256 KiB of `t`

// The diagonal block, `size` ≤ kBlock.
bool factor_block(double* a, int64_t n, int64_t size) {
  for (int64_t j = 0; j < size; ++j) {
    double* const row = a + j * n;
    for (int64_t k = 0; k < j; ++k) row[j] -= row[k] * row[k];
    if (!(row[j] > 0) || !std::isfinite(row[j])) return false;
    row[j] = std::sqrt(row[j]);
    for (int64_t i = j + 1; i < size; ++i) {
      double* const below = a + i * n;
      for (int64_t k = 0; k < j; ++k) below[j] -= below[k] * row[k];
      below[j] /= row[j];
    }
  }
  return true;
}

// One row below the diagonal block, solved against it; its transpose goes to column `column` of `t`, [size, stride].
void solve_row(double* row, const double* block, int64_t n, int64_t size, double* t, int64_t stride, int64_t column) {
  for (int64_t j = 0; j < size; ++j) {
    double value = row[j];
    for (int64_t k = 0; k < j; ++k) value -= row[k] * block[j * n + k];
    row[j] = value / block[j * n + j];
    t[j * stride + column] = row[j];
  }
}

// out[0 … count) -= Σ l[k] · t[k][…], four at a time: what a compiler turns into vectors without reordering a sum.
void subtract(double* out, int64_t count, const double* l, const double* t, int64_t stride, int64_t size) {
  int64_t k = 0;
  for (; k + 4 <= size; k += 4, t += 4 * stride) {
    const double l0 = l[k], l1 = l[k + 1], l2 = l[k + 2], l3 = l[k + 3];
    const double *t0 = t, *t1 = t + stride, *t2 = t1 + stride, *t3 = t2 + stride;
    for (int64_t j = 0; j < count; ++j) out[j] = out[j] - l0 * t0[j] - l1 * t1[j] - l2 * t2[j] - l3 * t3[j];
  }
  for (; k < size; ++k, t += stride) {
    for (int64_t j = 0; j < count; ++j) out[j] -= l[k] * t[j];
  }
}

int tasks(int64_t rows) { return static_cast<int>((rows + kRows - 1) / kRows); }

}  // namespace

bool cholesky(double* a, int64_t n, ThreadPool& pool) {
  std::vector<double> transposed(static_cast<size_t>(kBlock * n));
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t size = std::min(kBlock, n - first), rest = first + size, rows = n - rest;
    double* const block = a + first * n + first;
    if (!factor_block(block, n, size)) return false;
    pool.run(tasks(rows), [&](int task, int) {
      for (int64_t i = task * kRows; i < std::min(rows, (task + 1) * kRows); ++i)
        solve_row(a + (rest + i) * n + first, block, n, size, transposed.data(), rows, i);
    });
    pool.run(tasks(rows), [&](int task, int) {
      const int64_t begin = task * kRows, end = std::min(rows, begin + kRows);
      for (int64_t column = 0; column < end; column += kPanel) {
        for (int64_t i = std::max(begin, column); i < end; ++i) {
          const int64_t count = std::min(kPanel, i + 1 - column);
          subtract(a + (rest + i) * n + rest + column, count, a + (rest + i) * n + first, transposed.data() + column,
                   rows, size);
        }
      }
    });
  }
  return true;
}

}  // namespace qwen
