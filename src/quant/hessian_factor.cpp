#include "quant/hessian_factor.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "quant/cholesky.h"

namespace qwen {
namespace {

constexpr double kMostDamping = 10;
constexpr int64_t kRows = 16;  // of a task

float element(std::span<const float> gram, int64_t n, int64_t i, int64_t j) {
  return gram[static_cast<size_t>(std::max(i, j) * n + std::min(i, j))];
}

}  // namespace

HessianFactor::HessianFactor(std::span<const float> gram, int64_t n, const HessianOptions& options, ThreadPool& pool)
    : order_(static_cast<size_t>(n)), damp_percent_(options.damp_percent) {
  QWEN_CHECK(n > 0 && gram.size() == static_cast<size_t>(n * n) && options.damp_percent > 0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{element(gram, n, i, i)};
  if (!std::isfinite(sum))
    throw Error(ErrorCode::kBadData,
                "its inputs are not finite; a weight is damaged (download the model again), or the text drives "
                "the model out of range (choose another --calibration)");
  const double mean = sum > 0 ? sum / static_cast<double>(n) : 1.0;
  std::iota(order_.begin(), order_.end(), 0);
  if (options.act_order) {
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int32_t a, int32_t b) { return element(gram, n, a, a) > element(gram, n, b, b); });
  }

  // The Cholesky factor of the matrix read backwards, read backwards, is the upper triangular one.
  const auto input = [&](int64_t backwards) { return order_[static_cast<size_t>(n - 1 - backwards)]; };
  const std::unique_ptr<double[]> a(new double[static_cast<size_t>(n * n)]);
  const int tasks = static_cast<int>((n + kRows - 1) / kRows);
  for (;; damp_percent_ *= 10) {
    if (damp_percent_ > kMostDamping)
      throw Error(ErrorCode::kBadData,
                  "its inputs do not make a usable Hessian; give more or other text with --calibration");
    pool.run(tasks, [&](int task, int) {
      for (int64_t i = task * kRows; i < std::min(n, (task + 1) * kRows); ++i) {
        for (int64_t j = 0; j <= i; ++j) a[i * n + j] = double{element(gram, n, input(i), input(j))};
        a[i * n + i] += damp_percent_ * mean;
      }
    });
    if (cholesky(a.get(), n, pool)) break;
  }
  unit_.resize(static_cast<size_t>(n * n));
  diagonal_.resize(static_cast<size_t>(n));
  std::vector<double> inverse(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) inverse[static_cast<size_t>(i)] = 1 / a[i * n + i];
  pool.run(tasks, [&](int task, int) {
    for (int64_t i = task * kRows; i < std::min(n, (task + 1) * kRows); ++i) {
      const int64_t back = n - 1 - i;
      for (int64_t j = i; j < n; ++j) {
        const int64_t column = n - 1 - j;
        unit_[static_cast<size_t>(i * n + j)] =
            static_cast<float>(a[back * n + column] * inverse[static_cast<size_t>(column)]);
      }
      diagonal_[static_cast<size_t>(i)] = static_cast<float>(a[back * n + back] * a[back * n + back]);
    }
  });
}

}  // namespace qwen
