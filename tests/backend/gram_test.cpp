// Σ xᵀ·x of what the norms write, against double; and weights quantized for a folder, against those quantized at load.
#include <gtest/gtest.h>

#include "backend/backend_fixture.h"
#include "quant/integer_format.h"
#include "quant/integer_rows.h"

namespace qwen {
namespace {

class GramTest : public KernelTest {};

TEST_P(GramTest, AddsProductsOfColumns) {
  for (const int threads : {1, 3}) {
    CpuBackend backend(kernels(), threads);
    for (const int cols : {2, 31, 64, 230}) {
      MatmulInput input = backend.alloc_matmul_input(37, cols, {});
      Tensor gram = backend.alloc(DType::kF32, {cols, cols});
      const Tensor weight = tensor_of(backend, {cols}, std::vector<float>(static_cast<size_t>(cols), 1.0f));
      std::vector<double> expected(static_cast<size_t>(cols * cols));
      for (const int rows : {37, 1, 8}) {
        const std::vector<float> x = random(static_cast<size_t>(37 * cols));
        backend.rms_norm(input, tensor_of(backend, {37, cols}, x), weight, 1e-6f, 37);
        backend.add_gram(gram, input, rows);
        for (int row = 0; row < rows; ++row) {
          double square = 0;
          for (int i = 0; i < cols; ++i)
            square += double{x[static_cast<size_t>(row * cols + i)]} * x[static_cast<size_t>(row * cols + i)];
          const double norm = 1 / std::sqrt(square / cols + 1e-6);
          const auto at = [&](int i) {
            return double{bf16_to_f32(f32_to_bf16(static_cast<float>(x[static_cast<size_t>(row * cols + i)] * norm)))};
          };
          for (int i = 0; i < cols; ++i)
            for (int j = 0; j <= i; ++j) expected[static_cast<size_t>(i * cols + j)] += at(i) * at(j);
        }
      }
      const std::vector<float> values = values_of(backend, gram, cols);
      for (int i = 0; i < cols; ++i)
        for (int j = 0; j <= i; ++j)
          ASSERT_NEAR(values[static_cast<size_t>(i * cols + j)], expected[static_cast<size_t>(i * cols + j)], 0.15)
              << i << ' ' << j;
    }
  }
}

TEST_P(GramTest, DoesNotDependOnThreads) {
  std::vector<std::vector<float>> results;
  const std::vector<float> x = random(50 * 300);
  for (const int threads : {1, 2, 3}) {
    CpuBackend backend(kernels(), threads);
    MatmulInput input = backend.alloc_matmul_input(50, 300, {});
    Tensor gram = backend.alloc(DType::kF32, {300, 300});
    backend.rms_norm(input, tensor_of(backend, {50, 300}, x), tensor_of(backend, {300}, std::vector<float>(300, 1.0f)),
                     1e-6f, 50);
    backend.add_gram(gram, input, 50);
    std::vector<float> values = values_of(backend, gram, 300);
    for (int i = 0; i < 300; ++i) std::fill(values.begin() + i * 300 + i + 1, values.begin() + (i + 1) * 300, 0.0f);
    results.push_back(values);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

class IntegerRowsTest : public KernelTest {};

TEST_P(IntegerRowsTest, LoadTheBitsThatQuantizingAtLoadGives) {
  using Kind = QuantFormat::Kind;
  for (const QuantFormat& format : {QuantFormat{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup},
                                    QuantFormat{.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup},
                                    QuantFormat{.kind = Kind::kInt4, .bits = 4, .group_size = kHalfGroup}}) {
    for (const int cols : {64, 66, 128, 200, 384}) {
      const int rows = pick(1, 80);
      std::vector<float> weights = random(static_cast<size_t>(rows * cols), 0.05f);
      std::fill_n(weights.begin(), std::min(cols, 64), 0.0f);  // a group without a scale
      const HostMatrix plain{.rows = rows,
                             .cols = cols,
                             .weight = {DType::kF32, {rows, cols}, reinterpret_cast<const std::byte*>(weights.data())}};
      CpuBackend backend(kernels(), 2);
      const IntegerRowsShape shape = integer_rows_shape(format, rows, cols);
      std::vector<uint8_t> q(static_cast<size_t>(shape.qweight.num_elements()));
      std::vector<uint16_t> scales(static_cast<size_t>(shape.scales.num_elements()));
      const int first = rows / 3;  // in two pieces
      backend.quantize_rows(plain, 0, first, format, q.data(), scales.data());
      backend.quantize_rows(plain, first, rows - first, format, q.data() + first * shape.qweight[1],
                            scales.data() + first * shape.scales[1]);
      const HostMatrix stored{
          .format = format,
          .rows = rows,
          .cols = cols,
          .weight = {integer_rows_dtype(format), shape.qweight, reinterpret_cast<const std::byte*>(q.data())},
          .scales = {DType::kBF16, shape.scales, reinterpret_cast<const std::byte*>(scales.data())}};
      const Matrix expected = backend.prepare({&plain, 1}, format), actual = backend.prepare({&stored, 1}, format);
      ASSERT_EQ(actual.buffer.size_bytes(), expected.buffer.size_bytes());
      EXPECT_EQ(std::memcmp(actual.buffer.as<char>(), expected.buffer.as<char>(), expected.buffer.size_bytes()), 0)
          << rows << ' ' << cols;
      // Beside plain rows in one stack, and as what they stand for.
      const std::vector<HostMatrix> both = {plain, stored};
      EXPECT_EQ(backend.prepare(both, format).rows, 2 * rows);
      EXPECT_EQ(backend.prepare({&stored, 1}, {}).format.kind, Kind::kNone);
    }
  }
}

TEST_P(IntegerRowsTest, OtherFormatsAreRefused) {
  using Kind = QuantFormat::Kind;
  const QuantFormat int8{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup};
  const std::vector<int8_t> q(4 * 128);
  const std::vector<uint16_t> scales(4);
  const HostMatrix stored{.format = int8,
                          .rows = 4,
                          .cols = 128,
                          .weight = {DType::kI8, {4, 128}, reinterpret_cast<const std::byte*>(q.data())},
                          .scales = {DType::kBF16, {4, 1}, reinterpret_cast<const std::byte*>(scales.data())}};
  CpuBackend backend(kernels(), 1);
  EXPECT_THROW(backend.prepare({&stored, 1}, {.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup}), Error);
}

QWEN_FOR_EVERY_KERNEL_SET(GramTest);
QWEN_FOR_EVERY_KERNEL_SET(IntegerRowsTest);

}  // namespace
}  // namespace qwen
