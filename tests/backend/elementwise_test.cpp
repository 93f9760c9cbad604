#include "backend/backend_fixture.h"

namespace qwen {
namespace {

using ElementwiseTest = KernelTest;

// The first `rows` rows of an activation buffer as f32.
std::vector<float> rows_of(const MatmulInput& input, const KernelSet& kernels, int rows) {
  std::vector<float> values;
  const size_t stride = row_stride(input);
  for (int row = 0; row < rows; ++row) {
    for (int col = 0; col < input.cols; ++col) {
      const size_t i = static_cast<size_t>(row) * stride + static_cast<size_t>(col);
      values.push_back(kernels.activation == DType::kBF16 ? bf16_to_f32(input.buffer.as<uint16_t>()[i])
                                                          : input.buffer.as<float>()[i]);
    }
  }
  return values;
}

TEST_P(ElementwiseTest, RmsNormAndItsResidual) {
  CpuBackend backend(kernels(), 2);
  for (const int cols : {1, 2, 15, 16, 17, 63, 64, 65, 128, 333, 2560}) {
    for (const int rows : {1, 3, 70}) {
      SCOPED_TRACE(str(rows, " x ", cols));
      const size_t n = static_cast<size_t>(rows * cols);
      const std::vector<float> x = random(n, 3), delta = random(n), weight = random(static_cast<size_t>(cols));
      const Tensor w = tensor_of(backend, {cols}, weight);
      Tensor residual = tensor_of(backend, {rows, cols}, x);
      const Tensor d = tensor_of(backend, {rows, cols}, delta);
      MatmulInput plain = backend.alloc_matmul_input(rows, cols, {}),
                  added = backend.alloc_matmul_input(rows, cols, {});
      backend.rms_norm(plain, residual, w, 1e-6f, rows);
      backend.add_rms_norm(added, residual, d, w, 1e-6f, rows);

      std::vector<float> want_plain(n), want_added(n), want_residual(n);
      for (size_t i = 0; i < n; ++i) want_residual[i] = x[i] + delta[i];
      const auto norm = [&](const std::vector<float>& from, std::vector<float>& to) {
        for (int row = 0; row < rows; ++row) {
          double sum = 0;
          const size_t first = static_cast<size_t>(row * cols);
          for (int i = 0; i < cols; ++i) sum += std::pow(static_cast<double>(from[first + static_cast<size_t>(i)]), 2);
          const double scale = 1 / std::sqrt(sum / cols + 1e-6);
          for (size_t i = 0; i < static_cast<size_t>(cols); ++i)
            to[first + i] = static_cast<float>(from[first + i] * scale * weight[i]);
        }
      };
      norm(x, want_plain);
      norm(want_residual, want_added);
      EXPECT_EQ(values_of(backend, residual, rows), want_residual);
      const double limit = kernels().activation == DType::kBF16 ? 4e-3 : 1e-6;
      EXPECT_LT(relative_error(rows_of(plain, kernels(), rows), want_plain), limit);
      EXPECT_LT(relative_error(rows_of(added, kernels(), rows), want_added), limit);
    }
  }
}

TEST_P(ElementwiseTest, SiluAndMul) {
  CpuBackend backend(kernels(), 2);
  for (const int n : {1, 8, 15, 16, 31, 100, 1000}) {
    const int rows = 50;
    std::vector<float> x = random(static_cast<size_t>(rows * 2 * n), 4);
    x[0] = -200, x[1] = 200;  // far beyond the range of the exponential
    const Tensor gate_up = tensor_of(backend, {rows, 2 * n}, x);
    MatmulInput out = backend.alloc_matmul_input(rows, n, {});
    backend.silu_and_mul(out, gate_up, rows);
    std::vector<float> want;
    for (int row = 0; row < rows; ++row) {
      for (int i = 0; i < n; ++i) {
        const double gate = x[static_cast<size_t>(row * 2 * n + i)], up = x[static_cast<size_t>(row * 2 * n + n + i)];
        want.push_back(static_cast<float>(gate / (1 + std::exp(-gate)) * up));
      }
    }
    EXPECT_LT(relative_error(rows_of(out, kernels(), rows), want), kernels().activation == DType::kBF16 ? 4e-3 : 1e-6)
        << n;
  }
}

TEST_P(ElementwiseTest, QkNormRopeRotatesQueriesAndKeysAndLeavesValues) {
  CpuBackend backend(kernels(), 2);
  for (const int head_dim : {2, 8, 16, 30, 32, 64, 80, 128, 256}) {
    SCOPED_TRACE(head_dim);
    const HeadShape heads{4, 2, head_dim};
    const int rows = 33, half = head_dim / 2, max_positions = 50;
    const std::vector<float> x = random(static_cast<size_t>(rows * heads.qkv_size()), 2);
    const std::vector<float> qw = random(static_cast<size_t>(head_dim)), kw = random(static_cast<size_t>(head_dim));
    std::vector<float> cos, sin;
    for (int i = 0; i < max_positions * half; ++i) {
      cos.push_back(static_cast<float>(std::cos(0.1 * i)));
      sin.push_back(static_cast<float>(std::sin(0.1 * i)));
    }
    std::vector<int32_t> positions;
    for (int row = 0; row < rows; ++row) positions.push_back(pick(0, max_positions - 1));
    Tensor qkv = tensor_of(backend, {rows, heads.qkv_size()}, x);
    backend.qk_norm_rope(qkv, heads, tensor_of(backend, {head_dim}, qw), tensor_of(backend, {head_dim}, kw), 1e-6f,
                         tensor_of(backend, {max_positions, half}, cos), tensor_of(backend, {max_positions, half}, sin),
                         positions);
    std::vector<float> want = x;
    for (int row = 0; row < rows; ++row) {
      for (int head = 0; head < heads.num_heads + heads.num_kv_heads; ++head) {
        const size_t first = static_cast<size_t>(row * heads.qkv_size() + head * head_dim);
        const std::vector<float>& w = head < heads.num_heads ? qw : kw;
        double sum = 0;
        for (size_t i = 0; i < static_cast<size_t>(head_dim); ++i)
          sum += std::pow(static_cast<double>(x[first + i]), 2);
        const double scale = 1 / std::sqrt(sum / head_dim + 1e-6);
        for (size_t i = 0; i < static_cast<size_t>(half); ++i) {
          const size_t j = i + static_cast<size_t>(half);
          const double a = x[first + i] * scale * w[i], b = x[first + j] * scale * w[j];
          const size_t at = static_cast<size_t>(positions[static_cast<size_t>(row)] * half) + i;
          want[first + i] = static_cast<float>(a * cos[at] - b * sin[at]);
          want[first + j] = static_cast<float>(b * cos[at] + a * sin[at]);
        }
      }
    }
    const std::vector<float> got = values_of(backend, qkv, rows);
    EXPECT_LT(relative_error(got, want), 1e-6);
    for (int row = 0; row < rows; ++row) {
      const size_t values = static_cast<size_t>(row * heads.qkv_size() + heads.q_size() + heads.kv_size());
      EXPECT_EQ(std::memcmp(&got[values], &x[values], static_cast<size_t>(heads.kv_size()) * sizeof(float)), 0);
    }
  }
}

// Elements past `cols` are multiplied with the zero padding of the weights; they must stay zero, or a NaN there would
// spread.
TEST_P(ElementwiseTest, WritersLeaveTheRowsPaddingZero) {
  CpuBackend backend(kernels(), 1);
  for (const int cols : {1, 17, 33, 99}) {
    MatmulInput out = backend.alloc_matmul_input(2, cols, {});
    const Tensor x = tensor_of(backend, {2, 2 * cols}, random(static_cast<size_t>(4 * cols)));
    backend.silu_and_mul(out, x, 2);
    const Tensor y = tensor_of(backend, {2, cols}, random(static_cast<size_t>(2 * cols)));
    backend.rms_norm(out, y, tensor_of(backend, {cols}, random(static_cast<size_t>(cols))), 1e-6f, 2);
    const size_t stride = row_stride(out) * dtype_size(out.dtype);
    for (size_t i = static_cast<size_t>(cols) * dtype_size(kernels().activation); i < stride; ++i) {
      EXPECT_EQ(out.buffer.as<unsigned char>()[i], 0);
      EXPECT_EQ(out.buffer.as<unsigned char>()[stride + i], 0);
    }
  }
}

TEST_P(ElementwiseTest, ARowDoesNotDependOnItsBatch) {
  constexpr int kRows = 80, kCols = 1000;
  CpuBackend one(kernels(), 1), many(kernels(), 3);
  const std::vector<float> x = random(kRows * 2 * kCols), weight = random(kCols);
  const auto both = [&](Backend& backend, int rows, const std::vector<float>& values) {
    MatmulInput silu = backend.alloc_matmul_input(rows, kCols, {}),
                norm = backend.alloc_matmul_input(rows, 2 * kCols, {});
    backend.silu_and_mul(silu, tensor_of(backend, {rows, 2 * kCols}, values), rows);
    std::vector<float> doubled = weight;
    doubled.insert(doubled.end(), weight.begin(), weight.end());
    backend.rms_norm(norm, tensor_of(backend, {rows, 2 * kCols}, values), tensor_of(backend, {2 * kCols}, doubled),
                     1e-6f, rows);
    std::vector<float> result = rows_of(silu, kernels(), rows);
    const std::vector<float> second = rows_of(norm, kernels(), rows);
    return std::pair(result, second);
  };
  const auto [silu, norm] = both(many, kRows, x);
  for (int row = 0; row < kRows; ++row) {
    const auto [s, n] =
        both(one, 1, std::vector<float>(x.begin() + row * 2 * kCols, x.begin() + (row + 1) * 2 * kCols));
    EXPECT_EQ(std::memcmp(s.data(), &silu[static_cast<size_t>(row * kCols)], s.size() * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(n.data(), &norm[static_cast<size_t>(row * 2 * kCols)], n.size() * sizeof(float)), 0);
  }
}

QWEN_FOR_EVERY_KERNEL_SET(ElementwiseTest);

}  // namespace
}  // namespace qwen
