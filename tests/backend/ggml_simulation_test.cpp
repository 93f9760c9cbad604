// The simulation against plain arithmetic on what the formats make of weights and activations.
#include "backend/cpu/ggml_simulation.h"

#include "backend/backend_fixture.h"
#include "quant/ggml_block.h"

namespace qwen {
namespace {

using Kind = QuantFormat::Kind;
constexpr QuantFormat kQ8{.kind = Kind::kInt8, .bits = 8, .group_size = 128};
constexpr QuantFormat kQ4{.kind = Kind::kInt4, .bits = 4, .group_size = 128};

class GgmlSimulationTest : public KernelTest {};

std::vector<KernelSet> f32_kernel_sets() {
  std::vector<KernelSet> sets;
  for (const KernelSet& set : usable_kernel_sets())
    if (set.activation == DType::kF32) sets.push_back(set);
  return sets;
}

std::vector<float> rounded(const std::vector<float>& values, const QuantFormat& format) {
  std::vector<float> out;
  for (size_t i = 0; i < values.size(); i += kGgmlBlock) {
    const GgmlBlock block = format.bits == 8 ? quantize_q8_0(&values[i]) : quantize_q4_0(&values[i]);
    for (int at = 0; at < kGgmlBlock; ++at) out.push_back(block.value(at));
  }
  return out;
}

TEST_P(GgmlSimulationTest, MultipliesRoundedWeightsByActivationsRoundedTo8Bits) {
  GgmlSimulation backend(kernels(), 2);
  for (const auto& [rows, outputs, cols] : {std::tuple{1, 32, 32}, {3, 70, 96}, {300, 33, 64}}) {
    const auto size = [](int a, int b) { return static_cast<size_t>(a) * static_cast<size_t>(b); };
    const std::vector<float> w = random(size(outputs, cols)), x = random(size(rows, cols));
    const StoredMatrix stored(DType::kF32, outputs, cols, w);
    const std::vector<float> bias = random(static_cast<size_t>(outputs));
    for (const QuantFormat& format : {kQ8, kQ4}) {
      const Matrix packed = backend.prepare({&stored.host, 1}, format);
      MatmulInput input = backend.alloc_matmul_input(rows, cols, format);
      const Tensor unit = tensor_of(backend, {cols}, std::vector<float>(static_cast<size_t>(cols), 1.0f));
      backend.rms_norm(input, tensor_of(backend, {rows, cols}, x), unit, 1e-6f, rows);
      Tensor y = backend.alloc(DType::kF32, {rows, outputs});
      const Tensor bias_tensor = tensor_of(backend, {outputs}, bias);
      backend.matmul(y, input, packed, &bias_tensor, rows);

      const std::vector<float> w_rounded = rounded(w, format);
      const std::vector<float> x_rounded = rounded(activations_of(backend, kernels(), rows, cols, x).values, kQ8);
      std::vector<float> want;
      for (int row = 0; row < rows; ++row) {
        for (int out = 0; out < outputs; ++out) {
          double sum = bias[static_cast<size_t>(out)];
          for (size_t i = 0; i < static_cast<size_t>(cols); ++i)
            sum += double{x_rounded[size(row, cols) + i]} * w_rounded[size(out, cols) + i];
          want.push_back(static_cast<float>(sum));
        }
      }
      EXPECT_LT(relative_error(values_of(backend, y, rows), want), 1e-6) << rows << " " << outputs << " " << cols;
    }
  }
}

TEST_P(GgmlSimulationTest, EmbeddingRowsAreTheRoundedWeights) {
  GgmlSimulation backend(kernels(), 2);
  const std::vector<float> w = random(40 * 64);
  const StoredMatrix stored(DType::kF32, 40, 64, w);
  for (const QuantFormat& format : {kQ8, kQ4}) {
    const Matrix packed = backend.prepare({&stored.host, 1}, format);
    Tensor out = backend.alloc(DType::kF32, {3, 64});
    const std::vector<int32_t> ids = {39, 0, 33};
    backend.embed(out, packed, ids);
    const std::vector<float> all = rounded(w, format), got = values_of(backend, out, 3);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], all[static_cast<size_t>(ids[i / 64]) * 64 + i % 64]);
    const std::vector<int32_t> outside = {40};
    EXPECT_THROW(backend.embed(out, packed, outside), Error);
  }
}

TEST_P(GgmlSimulationTest, CountsTheBitsOfTheFileAndRefusesWhatHasNoBlocks) {
  GgmlSimulation backend(kernels(), 1);
  EXPECT_EQ(backend.weight_bytes(10, 64, DType::kBF16, kQ8), 10u * 2 * 34);
  EXPECT_EQ(backend.weight_bytes(10, 64, DType::kBF16, kQ4), 10u * 2 * 18);
  const StoredMatrix odd(DType::kF32, 4, 33, random(4 * 33)), even(DType::kF32, 4, 32, random(4 * 32));
  EXPECT_THROW(backend.prepare({&odd.host, 1}, kQ8), Error);
  EXPECT_THROW(backend.prepare({&even.host, 1}, {}), Error);
}

INSTANTIATE_TEST_SUITE_P(Kernels, GgmlSimulationTest, testing::ValuesIn(f32_kernel_sets()), kernel_set_name);

}  // namespace
}  // namespace qwen
