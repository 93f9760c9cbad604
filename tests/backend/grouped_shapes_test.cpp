// GPTQ and AWQ weights through the backend at every shape of groups and rows: the specification's bits, and a row the
// same alone and in any batch.
#include <array>

#include "backend/backend_fixture.h"
#include "support/stored_groups.h"

namespace qwen {
namespace {

using Order = StoredGroups::Order;
constexpr int kWholeRow = 1 << 20;  // group size -1
constexpr int kSizes[] = {16, 32, 48, 64, 128, kWholeRow};

class GroupedShapesTest : public KernelTest {
 protected:
  void SetUp() override {
    if (kernels().integer == nullptr) GTEST_SKIP() << "multiplies floats";
  }

  // Activations with whatever values, by an operation that writes element for element: SiLU of what it leaves alone.
  static std::vector<float> product(CpuBackend& backend, const Matrix& weight, std::span<const float> x, int rows,
                                    const Tensor* bias = nullptr) {
    constexpr float kLinear = 128;  // silu(128) = 128
    const int cols = weight.cols;
    std::vector<float> gate_up;
    for (int row = 0; row < rows; ++row) {
      gate_up.insert(gate_up.end(), static_cast<size_t>(cols), kLinear);
      for (int col = 0; col < cols; ++col) gate_up.push_back(x[static_cast<size_t>(row * cols + col)] / kLinear);
    }
    MatmulInput input = backend.alloc_matmul_input(rows, cols, {});
    backend.set_reader(input, weight);
    backend.silu_and_mul(input, tensor_of(backend, {rows, 2 * cols}, gate_up), rows);
    Tensor y = backend.alloc(DType::kF32, {rows, weight.rows});
    backend.matmul(y, input, weight, bias, rows);
    return values_of(backend, y, rows);
  }

  // Each row as it is alone, by the specification and by these kernels; then batches of them, on 1 to 3 threads.
  void expect_rows_alone(const Matrix& weight, const std::vector<float>& x, int rows) {
    const KernelSet scalar_set = with_scalar_integers(kernels());
    CpuBackend scalar(scalar_set, 1), one(kernels(), 1), two(kernels(), 2), three(kernels(), 3);
    const size_t cols = static_cast<size_t>(weight.cols), outputs = static_cast<size_t>(weight.rows);
    std::vector<float> alone;
    for (int row = 0; row < rows; ++row) {
      const std::span<const float> values(x.data() + static_cast<size_t>(row) * cols, cols);
      const std::vector<float> y = product(one, weight, values, 1);
      ASSERT_TRUE(same_bits(y, product(scalar, weight, values, 1))) << "row " << row;
      alone.insert(alone.end(), y.begin(), y.end());
    }
    int threads = 0;
    for (int batch = 1; batch <= rows; ++batch) {
      CpuBackend& backend = *std::array{&one, &two, &three}[static_cast<size_t>(threads++ % 3)];
      ASSERT_TRUE(
          same_bits(product(backend, weight, x, batch), std::span(alone).first(static_cast<size_t>(batch) * outputs)))
          << batch << " rows";
    }
  }
};

TEST_P(GroupedShapesTest, RowsOfEveryShapeAreTheSpecificationsAloneAndInABatch) {
  CpuBackend backend(kernels(), 2);
  uint32_t seed = 0;
  for (const int bits : {4, 8}) {
    for (const int group : kSizes) {
      for (const int cols : {8, 40, 208, 1000}) {  // tails of 8 inputs: half a block
        ++seed;
        const Order order = seed % 2 ? Order::kPlain : Order::kShuffled;
        const StoredGroups groups(8 * pick(1, 9), cols, group, bits, order, seed, seed % 3 == 0);
        const StoredGptq stored(groups, 1, true, seed % 5 ? DType::kF16 : DType::kF32);
        SCOPED_TRACE(str(groups.rows, " x ", cols, ", ", bits, " bits in groups of ", group));
        const Matrix packed = backend.prepare({&stored.matrix, 1}, {});
        ASSERT_EQ(packed.format.kind, QuantFormat::Kind::kGrouped);
        expect_rows_alone(packed, random(static_cast<size_t>(17 * cols)), 17);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// More rows than a task, and so many that tasks do not come out even.
TEST_P(GroupedShapesTest, ManyRowsAreTheSpecificationsToo) {
  constexpr int kCols = 144, kRows = 2 * kIntegerTaskRows + 1;
  const KernelSet scalar_set = with_scalar_integers(kernels());
  CpuBackend fast(kernels(), 3), scalar(scalar_set, 1);
  const std::vector<float> x = random(kRows * kCols);
  for (const int bits : {4, 8}) {
    const StoredGroups groups(72, kCols, 48, bits, Order::kPlain, 1);
    const StoredGptq stored(groups, 1, false, DType::kF16);
    const Matrix packed = fast.prepare({&stored.matrix, 1}, {});
    const Tensor bias = tensor_of(fast, {72}, random(72));
    for (const int rows : {kIntegerTaskRows - 1, kIntegerTaskRows, kIntegerTaskRows + 1, kRows})
      EXPECT_TRUE(same_bits(product(fast, packed, x, rows, &bias), product(scalar, packed, x, rows, &bias))) << rows;
  }
}

TEST_P(GroupedShapesTest, WhatIsNoNumberPoisonsItsRowAlone) {
  CpuBackend backend(kernels(), 2);
  constexpr int kRows = 9, kCols = 120, kOutputs = 40;
  for (const Order order : {Order::kPlain, Order::kShuffled}) {
    const StoredGroups groups(kOutputs, kCols, 48, 4, order, 2);
    const StoredGptq stored(groups, 1, true, DType::kF16);
    const Matrix packed = backend.prepare({&stored.matrix, 1}, {});
    for (const float poison : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> x = random(kRows * kCols);
      std::fill(x.begin() + kCols, x.begin() + 2 * kCols, 0.0f);           // a row of zeros
      std::fill(x.begin() + 2 * kCols, x.begin() + 2 * kCols + 48, 0.0f);  // blocks of them
      std::fill(x.begin() + 3 * kCols, x.begin() + 4 * kCols, 1e-31f);     // and what becomes zeros
      x[4 * kCols + kCols - 1] = x[7 * kCols] = poison;
      expect_rows_alone(packed, x, kRows);
      const std::vector<float> y = product(backend, packed, x, kRows);
      for (int row = 0; row < kRows; ++row) {
        for (int out = 0; out < kOutputs; ++out) {
          const float value = y[static_cast<size_t>(row * kOutputs + out)];
          EXPECT_EQ(std::isnan(value), row == 4 || row == 7) << row;
          if (row == 1 || row == 3) {
            EXPECT_EQ(value, 0);
          }
        }
      }
    }
  }
}

// Subnormal scales, in both widths, and the ends of the ranges of integers and zero points.
TEST_P(GroupedShapesTest, ScalesAndZeroPointsAtTheirEndsAreExact) {
  CpuBackend backend(kernels(), 2);
  constexpr int kRows = 7, kCols = 96, kOutputs = 32, kGroup = 32;
  const std::vector<float> x = random(kRows * kCols);
  for (const int bits : {4, 8}) {
    for (const auto& [dtype, least] : {std::pair{DType::kF16, 0x1p-24f}, {DType::kF32, 0x1p-149f}}) {
      StoredGroups groups(kOutputs, kCols, kGroup, bits, Order::kPlain, 3);
      const uint32_t largest = (1u << bits) - 1;
      for (size_t i = 0; i < groups.scale.size(); ++i) groups.scale[i] = least * static_cast<float>(1 + i % 900);
      for (size_t i = 0; i < groups.zero.size(); ++i) groups.zero[i] = i % 3 ? groups.zero[i] : i % 2 ? largest : 0;
      for (size_t i = 0; i < groups.q.size(); ++i) groups.q[i] = i % 5 ? groups.q[i] : i % 2 ? largest : 0;
      const StoredGptq stored(groups, 1, false, dtype);
      const Matrix packed = backend.prepare({&stored.matrix, 1}, {});
      ASSERT_TRUE(packed.format.zero_points && packed.format.wide_scales == (dtype == DType::kF32));
      std::vector<int32_t> ids(kOutputs);
      std::iota(ids.begin(), ids.end(), 0);
      Tensor weights = backend.alloc(DType::kF32, {kOutputs, kCols});
      backend.embed(weights, packed, ids);
      EXPECT_EQ(values_of(backend, weights, kOutputs), groups.values());
      expect_rows_alone(packed, x, kRows);
      std::vector<float> want;
      for (int row = 0; row < kRows; ++row) {
        for (int out = 0; out < kOutputs; ++out) {
          double sum = 0;
          for (int col = 0; col < kCols; ++col)
            sum += double{groups.value(out, col)} / least * x[static_cast<size_t>(row * kCols + col)];
          want.push_back(static_cast<float>(sum));
        }
      }
      std::vector<float> y = product(backend, packed, x, kRows);
      for (float& value : y) value = static_cast<float>(double{value} / least);
      EXPECT_LT(relative_error(y, want), 0.02) << bits << " bits, " << dtype_name(dtype);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, GroupedShapesTest, testing::ValuesIn(sets_with_integers()), kernel_set_name);

}  // namespace
}  // namespace qwen
