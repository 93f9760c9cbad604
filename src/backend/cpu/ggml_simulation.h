// What llama.cpp would compute with int8 and int4 weights: Q8_0 and Q4_0 (quant/ggml_block.h) times activations that a
// matrix product rounds to Q8_0 first, whatever the weights are; everything else in this backend's own f32 arithmetic.
// For comparing quality, never for serving: `bench quality`.
#pragma once

#include "backend/cpu/cpu_backend.h"

namespace qwen {

class GgmlSimulation : public CpuBackend {
 public:
  // `kernels` outlives the backend and has f32 activations.
  GgmlSimulation(const KernelSet& kernels, int threads);

  std::string_view name() const override { return "cpu, simulating llama.cpp"; }
  // As the blocks lie in a file: 8.5 and 4.5 bits.
  size_t weight_bytes(int64_t rows, int64_t cols, DType stored, const QuantFormat& format) const override;
  MatmulInput alloc_matmul_input(int max_rows, int cols, const QuantFormat& weights) override;
  // kInt8 becomes Q8_0 and kInt4 Q4_0, of any group size. Errors: kBadData where the input features are no multiple of
  // 32 or the weights are quantized already.
  Matrix prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) override;
  QuantFormat prepared_format(std::span<const HostMatrix>, const QuantFormat& asked) const override { return asked; }
  void set_reader(MatmulInput&, const Matrix&) override {}               // all read f32
  std::string packing(const QuantFormat&) const override { return {}; }  // no file keeps them
  void embed(Tensor& out, const Matrix& table, std::span<const int32_t> token_ids) override;
  void matmul(Tensor& out, const MatmulInput& in, const Matrix& weight, const Tensor* bias, int rows) override;

 private:
  void round_activations(const MatmulInput& in, int rows);  // to rounded_

  std::vector<float> rounded_;   // [rows, activation_stride of in]
  std::vector<float> products_;  // [threads, kRows, kPanelRows] twice: of a block, and the sum over blocks
};

}  // namespace qwen
