// int8 and int4 weights through the backend: close to plain arithmetic, the same in every batch and for every number of
// threads.
#include "backend/backend_fixture.h"
#include "quant/integer_format.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;
constexpr QuantFormat kFormats[] = {{.kind = Kind::kInt8, .bits = 8, .group_size = kIntegerGroup},
                                    {.kind = Kind::kInt4, .bits = 4, .group_size = kIntegerGroup},
                                    {.kind = Kind::kInt4, .bits = 4, .group_size = kHalfGroup}};

class IntegerMatmulTest : public KernelTest {
 protected:
  std::vector<float> product(CpuBackend& backend, const Matrix& weight, const QuantFormat& format,
                             const std::vector<float>& x, int rows) {
    const int cols = weight.cols;
    MatmulInput input = backend.alloc_matmul_input(rows, cols, format);
    const Tensor unit = tensor_of(backend, {cols}, std::vector<float>(static_cast<size_t>(cols), 1.0f));
    backend.rms_norm(input, tensor_of(backend, {rows, cols}, x), unit, 1e-6f, rows);
    Tensor y = backend.alloc(DType::kF32, {rows, weight.rows});
    backend.matmul(y, input, weight, nullptr, rows);
    return values_of(backend, y, rows);
  }
};

// y = w · norm(x) in double.
std::vector<float> expected(const StoredMatrix& w, const std::vector<float>& x, int rows) {
  const int cols = static_cast<int>(w.host.cols);
  std::vector<float> y;
  for (int row = 0; row < rows; ++row) {
    const float* const v = x.data() + row * cols;
    double square = 0;
    for (int i = 0; i < cols; ++i) square += double{v[i]} * v[i];
    const double scale = 1 / std::sqrt(square / cols + 1e-6);
    for (int out = 0; out < w.host.rows; ++out) {
      double sum = 0;
      for (int i = 0; i < cols; ++i) sum += w.at(out, i) * v[i] * scale;
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

TEST_P(IntegerMatmulTest, IsCloseToPlainArithmeticOutliersIncluded) {
  CpuBackend backend(kernels(), 2);
  for (const auto& [outputs, cols] : {std::pair{40, 64}, {70, 96}, {33, 300}, {96, 2560}, {1, 7}}) {
    for (const DType source : {DType::kBF16, DType::kF16, DType::kF32}) {
      const StoredMatrix w(source, outputs, cols, random(static_cast<size_t>(outputs * cols), 0.02f));
      std::vector<float> x = random(static_cast<size_t>(3 * cols));
      for (int row = 0; row < 3; ++row) x[static_cast<size_t>(row * cols + cols / 3)] *= 100;
      for (const QuantFormat& format : kFormats) {
        const Matrix packed = backend.prepare({&w.host, 1}, format);
        EXPECT_EQ(packed.rows, outputs);
        const std::vector<float> y = product(backend, packed, format, x, 3);
        EXPECT_LT(relative_error(y, expected(w, x, 3)), format.bits == 8 ? 0.03 : 0.35)
            << outputs << " x " << cols << " " << format.bits;
      }
    }
  }
}

TEST_P(IntegerMatmulTest, ARowDependsNeitherOnItsBatchNorOnTheThreads) {
  constexpr int kRows = 70, kOutputs = 100, kCols = 900;
  const std::vector<float> x = random(kRows * kCols);
  const StoredMatrix w(DType::kBF16, kOutputs, kCols, random(kOutputs * kCols));
  for (const QuantFormat& format : kFormats) {
    CpuBackend one(kernels(), 1);
    const Matrix packed = one.prepare({&w.host, 1}, format);
    std::vector<float> alone;
    for (int row = 0; row < kRows; ++row) {
      const std::vector<float> y =
          product(one, packed, format, std::vector<float>(x.begin() + row * kCols, x.begin() + (row + 1) * kCols), 1);
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (int threads = 1; threads <= 3; ++threads) {
      CpuBackend backend(kernels(), threads);
      for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 40, 70}) {
        const std::vector<float> y = product(backend, packed, format, x, rows);
        ASSERT_EQ(std::memcmp(y.data(), alone.data(), y.size() * sizeof(float)), 0)
            << rows << " rows, " << threads << " threads, " << format.bits << " bits";
      }
    }
  }
}

TEST_P(IntegerMatmulTest, EmbeddingRowsAreTheWeightsThatTheProductsMultiply) {
  CpuBackend backend(kernels(), 2);
  constexpr int kRows = 75, kCols = 200;
  const StoredMatrix table(DType::kBF16, kRows, kCols, random(kRows * kCols));
  for (const QuantFormat& format : kFormats) {
    const Matrix packed = backend.prepare({&table.host, 1}, format);
    std::vector<int32_t> ids;
    for (int i = 0; i < kRows; ++i) ids.push_back(i);
    Tensor out = backend.alloc(DType::kF32, {kRows, kCols});
    backend.embed(out, packed, ids);
    std::vector<float> want;
    for (int i = 0; i < kRows * kCols; ++i) want.push_back(static_cast<float>(table.at(i / kCols, i % kCols)));
    EXPECT_LT(relative_error(values_of(backend, out, kRows), want), format.bits == 8 ? 0.008 : 0.12);
  }
}

TEST_P(IntegerMatmulTest, WritersOfEveryKindQuantizeAlike) {
  CpuBackend backend(kernels(), 2);
  constexpr int kRows = 20, kCols = 333;
  const QuantFormat format = kFormats[0];
  const StoredMatrix w(DType::kBF16, 50, kCols, random(50 * kCols));
  const Matrix packed = backend.prepare({&w.host, 1}, format);
  const Tensor x = tensor_of(backend, {kRows, 2 * kCols}, random(kRows * 2 * kCols));
  MatmulInput input = backend.alloc_matmul_input(kRows, kCols, format),
              plain = backend.alloc_matmul_input(kRows, kCols, {});
  backend.silu_and_mul(input, x, kRows);
  backend.silu_and_mul(plain, x, kRows);
  Tensor y = backend.alloc(DType::kF32, {kRows, 50}), y_plain = backend.alloc(DType::kF32, {kRows, 50});
  backend.matmul(y, input, packed, nullptr, kRows);
  backend.matmul(y_plain, plain, backend.prepare({&w.host, 1}, {}), nullptr, kRows);
  EXPECT_LT(relative_error(values_of(backend, y, kRows), values_of(backend, y_plain, kRows)), 0.03);
}

TEST_P(IntegerMatmulTest, StackedMatricesAreOneMatrixAndQuantizedOnesAreRefused) {
  CpuBackend backend(kernels(), 2);
  const int cols = 130;
  std::vector<StoredMatrix> parts;
  for (const int rows : {40, 7, 1, 90})
    parts.emplace_back(DType::kBF16, rows, cols, random(static_cast<size_t>(rows * cols)));
  std::vector<HostMatrix> hosts;
  for (const StoredMatrix& part : parts) hosts.push_back(part.host);
  const std::vector<float> x = random(static_cast<size_t>(cols));
  for (const QuantFormat& format : kFormats) {
    const std::vector<float> whole = product(backend, backend.prepare(hosts, format), format, x, 1);
    std::vector<float> pieces;
    for (const HostMatrix& host : hosts) {
      const std::vector<float> y = product(backend, backend.prepare({&host, 1}, format), format, x, 1);
      pieces.insert(pieces.end(), y.begin(), y.end());
    }
    EXPECT_EQ(whole, pieces);
    HostMatrix absurd = hosts[0];
    absurd.rows = int64_t{1} << 40;
    EXPECT_THROW(backend.prepare({&absurd, 1}, format), Error);
  }
}

QWEN_FOR_EVERY_KERNEL_SET(IntegerMatmulTest);

}  // namespace
}  // namespace qwen
