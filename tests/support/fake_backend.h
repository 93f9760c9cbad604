// A Backend that owns host memory and computes nothing: what FakeModel needs. Operations of a forward pass end the
// test.
#pragma once

#include "backend/backend.h"

namespace qwen {

class FakeBackend : public Backend {
 public:
  FakeBackend(size_t free_memory, size_t kv_bytes_per_token, int kv_block_size)
      : free_memory_(free_memory), kv_bytes_per_token_(kv_bytes_per_token), kv_block_size_(kv_block_size) {}

  std::string_view name() const override { return "fake"; }
  std::string_view kernels() const override { return "fake"; }
  size_t free_memory() const override { return free_memory_; }
  std::optional<std::string> heads_problem(const HeadShape&) const override { return std::nullopt; }

  Tensor alloc(DType dtype, const Shape& shape) override;
  MatmulInput alloc_matmul_input(int max_rows, int cols, const QuantFormat& weights) override;
  KvLayer alloc_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads) override;
  DType kv_dtype() const override { return DType::kBF16; }
  int kv_block_size() const override { return kv_block_size_; }
  size_t kv_bytes_per_token(DType, const HeadShape&) const override { return kv_bytes_per_token_; }
  size_t weight_bytes(int64_t rows, int64_t cols, DType, const QuantFormat&) const override {
    return static_cast<size_t>(2 * rows * cols);
  }
  Matrix prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) override;
  void upload(Tensor& out, const TensorView& source) override;
  std::span<const float> read_f32(const Tensor& tensor, int rows, std::vector<float>& scratch) override;

  void embed(Tensor&, const Matrix&, std::span<const int32_t>) override;
  void rms_norm(MatmulInput&, const Tensor&, const Tensor&, float, int) override;
  void add_rms_norm(MatmulInput&, Tensor&, const Tensor&, const Tensor&, float, int) override;
  void matmul(Tensor&, const MatmulInput&, const Matrix&, const Tensor*, int) override;
  void qk_norm_rope(Tensor&, const HeadShape&, const Tensor&, const Tensor&, float, const Tensor&, const Tensor&,
                    std::span<const int32_t>) override;
  void store_kv(KvLayer&, const Tensor&, std::span<const int32_t>) override;
  void paged_attention(MatmulInput&, const Tensor&, const KvLayer&, const AttentionMetadata&) override;
  void silu_and_mul(MatmulInput&, const Tensor&, int) override;
  void gather_rows(Tensor&, const Tensor&, std::span<const int32_t>) override;

 private:
  size_t free_memory_;
  size_t kv_bytes_per_token_;
  int kv_block_size_;
};

}  // namespace qwen
