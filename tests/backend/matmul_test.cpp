#include "backend/backend_fixture.h"

namespace qwen {
namespace {

using MatmulTest = KernelTest;

struct Problem {
  int rows, outputs, cols;
};

// Odd rows, tails of every kind, and a K beyond one block of the kernels.
const std::vector<Problem> kProblems = {{1, 1, 1},      {1, 32, 2},    {3, 33, 7},      {5, 64, 48},
                                        {12, 31, 65},   {13, 96, 128}, {25, 65, 33},    {1, 160, 99},
                                        {40, 129, 257}, {97, 64, 31},  {200, 40, 2500}, {2, 70, 4097}};

// y = x·Wᵀ in double, from the operands as the kernels see them.
std::vector<float> expected(const Activations& x, const StoredMatrix& w, const Problem& p, bool round_weights,
                            const std::vector<float>* bias) {
  std::vector<float> y;
  for (int row = 0; row < p.rows; ++row) {
    for (int out = 0; out < p.outputs; ++out) {
      double sum = bias ? (*bias)[static_cast<size_t>(out)] : 0;
      for (int col = 0; col < p.cols; ++col) {
        double weight = w.at(out, col);
        if (round_weights) weight = bf16_to_f32(f32_to_bf16(static_cast<float>(weight)));
        sum += static_cast<double>(x.values[static_cast<size_t>(row * p.cols + col)]) * weight;
      }
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

TEST_P(MatmulTest, EqualsDoubleArithmeticForEveryShapeAndSource) {
  CpuBackend backend(kernels(), 2);
  for (const Problem& p : kProblems) {
    for (const DType source : {DType::kBF16, DType::kF16, DType::kF32}) {
      SCOPED_TRACE(str(p.rows, " x ", p.outputs, " x ", p.cols, " ", dtype_name(source)));
      const StoredMatrix w(source, p.outputs, p.cols, random(static_cast<size_t>(p.outputs * p.cols)));
      const Activations x =
          activations_of(backend, kernels(), p.rows, p.cols, random(static_cast<size_t>(p.rows * p.cols)));
      const Matrix packed = backend.prepare({&w.host, 1}, {});
      EXPECT_EQ(packed.rows, p.outputs);
      EXPECT_EQ(packed.cols, p.cols);
      const std::vector<float> bias = random(static_cast<size_t>(p.outputs));
      const Tensor bias_tensor = tensor_of(backend, {p.outputs}, bias);
      for (const bool with_bias : {false, true}) {
        Tensor y = tensor_of(backend, {p.rows + 1, p.outputs},
                             std::vector<float>(static_cast<size_t>((p.rows + 1) * p.outputs), NAN));
        backend.matmul(y, x.input, packed, with_bias ? &bias_tensor : nullptr, p.rows);
        const std::vector<float> want = expected(x, w, p, !kernels().stored_weights, with_bias ? &bias : nullptr);
        std::vector<float> got = values_of(backend, y, p.rows + 1);
        for (int out = 0; out < p.outputs; ++out) {
          EXPECT_TRUE(std::isnan(got[static_cast<size_t>(p.rows * p.outputs + out)]))
              << "a row that was not asked for was written";
        }
        got.resize(want.size());
        // The operands are the same, so only the f32 accumulation differs.
        EXPECT_LT(relative_error(got, want), 3e-6);
      }
    }
  }
}

TEST_P(MatmulTest, StackedMatricesAreOneMatrix) {
  CpuBackend backend(kernels(), 2);
  const int cols = 67;
  std::vector<StoredMatrix> parts;
  for (const int rows : {40, 7, 1, 90})
    parts.emplace_back(DType::kBF16, rows, cols, random(static_cast<size_t>(rows * cols)));
  std::vector<HostMatrix> hosts;
  for (const StoredMatrix& part : parts) hosts.push_back(part.host);
  const Matrix stacked = backend.prepare(hosts, {});
  EXPECT_EQ(stacked.rows, 138);
  const Activations x = activations_of(backend, kernels(), 5, cols, random(5 * cols));
  Tensor y = backend.alloc(DType::kF32, {5, stacked.rows});
  backend.matmul(y, x.input, stacked, nullptr, 5);
  const std::vector<float> got = values_of(backend, y, 5);
  int first = 0;
  for (const HostMatrix& host : hosts) {
    const int rows = static_cast<int>(host.rows);
    Tensor part = backend.alloc(DType::kF32, {5, rows});
    backend.matmul(part, x.input, backend.prepare({&host, 1}, {}), nullptr, 5);
    const std::vector<float> want = values_of(backend, part, 5);
    for (int row = 0; row < 5; ++row) {
      for (int i = 0; i < rows; ++i) {
        EXPECT_EQ(got[static_cast<size_t>(row * stacked.rows + first + i)], want[static_cast<size_t>(row * rows + i)]);
      }
    }
    first += rows;
  }
}

TEST_P(MatmulTest, ARowDoesNotDependOnItsBatchOrTheThreads) {
  constexpr int kRows = 230, kOutputs = 100, kCols = 2600;
  CpuBackend one(kernels(), 1);
  const std::vector<float> x = random(kRows * kCols);
  const StoredMatrix w(DType::kBF16, kOutputs, kCols, random(kOutputs * kCols));
  const Matrix packed = one.prepare({&w.host, 1}, {});
  std::vector<float> alone;
  for (int row = 0; row < kRows; ++row) {
    const Activations a = activations_of(one, kernels(), 1, kCols,
                                         std::vector<float>(x.begin() + row * kCols, x.begin() + (row + 1) * kCols));
    Tensor y = one.alloc(DType::kF32, {1, kOutputs});
    one.matmul(y, a.input, packed, nullptr, 1);
    const std::vector<float> values = values_of(one, y, 1);
    alone.insert(alone.end(), values.begin(), values.end());
  }
  for (int threads = 1; threads <= 4; ++threads) {
    CpuBackend backend(kernels(), threads);
    const Activations a = activations_of(backend, kernels(), kRows, kCols, x);
    for (int rows = 1; rows <= kRows; rows = rows < 40 ? rows + 1 : rows + 95) {
      Tensor y = backend.alloc(DType::kF32, {rows, kOutputs});
      backend.matmul(y, a.input, packed, nullptr, rows);
      const std::vector<float> batch = values_of(backend, y, rows);
      ASSERT_EQ(std::memcmp(batch.data(), alone.data(), batch.size() * sizeof(float)), 0)
          << rows << " rows, " << threads << " threads";
    }
  }
}

TEST_P(MatmulTest, EmbeddingRowsComeOutOfThePackedMatrix) {
  CpuBackend backend(kernels(), 2);
  for (const DType source : {DType::kBF16, DType::kF16, DType::kF32}) {
    const int rows = 75, cols = 37;
    const StoredMatrix table(source, rows, cols, random(static_cast<size_t>(rows * cols)));
    const Matrix packed = backend.prepare({&table.host, 1}, {});
    std::vector<int32_t> ids;
    for (int i = 0; i < 300; ++i) ids.push_back(pick(0, rows - 1));
    Tensor out = backend.alloc(DType::kF32, {300, cols});
    backend.embed(out, packed, ids);
    const std::vector<float> got = values_of(backend, out, 300);
    for (int i = 0; i < 300; ++i) {
      for (int col = 0; col < cols; ++col) {
        float want = static_cast<float>(table.at(ids[static_cast<size_t>(i)], col));
        if (!kernels().stored_weights) want = bf16_to_f32(f32_to_bf16(want));
        EXPECT_EQ(got[static_cast<size_t>(i * cols + col)], want);
      }
    }
  }
}

TEST_P(MatmulTest, TokensOutsideTheVocabularyAreErrors) {
  CpuBackend backend(kernels(), 1);
  const StoredMatrix table(DType::kBF16, 5, 4, random(20));
  const Matrix packed = backend.prepare({&table.host, 1}, {});
  Tensor out = backend.alloc(DType::kF32, {1, 4});
  for (const int32_t id : {-1, 5, 1 << 30}) EXPECT_THROW(backend.embed(out, packed, std::vector<int32_t>{id}), Error);
}

TEST_P(MatmulTest, WeightsThatDoNotFitAreErrors) {
  CpuBackend backend(kernels(), 1);
  const StoredMatrix a(DType::kBF16, 4, 8, random(32)), b(DType::kBF16, 4, 6, random(24));
  const std::vector<HostMatrix> unequal = {a.host, b.host};
  EXPECT_THROW(backend.prepare(unequal, {}), Error);
  HostMatrix integers = a.host;
  integers.weight.dtype = DType::kI8;
  EXPECT_THROW(backend.prepare({&integers, 1}, {}), Error);
  HostMatrix absurd = a.host;
  absurd.rows = int64_t{1} << 40;
  EXPECT_THROW(backend.prepare({&absurd, 1}, {}), Error);
}

QWEN_FOR_EVERY_KERNEL_SET(MatmulTest);

}  // namespace
}  // namespace qwen
