// The CPU backend: memory, packing, and the cutting of each operation into tasks for the compute pool. The arithmetic
// is the kernels' (kernel_table.h). All calls from one thread, complete when they return.
#pragma once

#include <optional>
#include <string_view>

#include "backend/backend.h"
#include "backend/cpu/cpu_attention.h"
#include "backend/cpu/kernel_set.h"
#include "backend/cpu/kv_storage.h"
#include "base/thread_pool.h"

namespace qwen {

class CpuBackend : public Backend {
 public:
  // `kernels` outlives the backend; threads ≥ 1. `kv_dtype`: kI8, or bf16 or f32 as the kernels have it; by default
  // what they prefer.
  CpuBackend(const KernelSet& kernels, int threads, std::optional<DType> kv_dtype = std::nullopt);

  std::string_view name() const override { return "cpu"; }
  std::string_view kernels() const override { return kernels_.name; }
  size_t free_memory() const override;
  std::optional<std::string> heads_problem(const HeadShape& heads) const override { return kv_heads_problem(heads); }

  Tensor alloc(DType dtype, const Shape& shape) override;
  MatmulInput alloc_matmul_input(int max_rows, int cols, const QuantFormat& weights) override;
  KvLayer alloc_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads) override;
  DType kv_dtype() const override { return kv_dtype_; }
  int kv_block_size() const override;
  size_t kv_bytes_per_token(DType dtype, const HeadShape& heads) const override;
  size_t weight_bytes(int64_t rows, int64_t cols, DType stored, const QuantFormat& format) const override;
  QuantFormat prepared_format(std::span<const HostMatrix> stacked, const QuantFormat& asked) const override;
  QuantFormat expected_format(const QuantFormat& stored, int64_t cols, const QuantFormat& asked) const override;
  Matrix prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) override;
  std::string packing(const QuantFormat& format) const override;
  size_t packed_bytes(int64_t rows, int64_t cols, const QuantFormat& format) const override;
  std::span<const std::byte> packed(const Matrix& matrix, std::vector<std::byte>& scratch) const override;
  void quantize_rows(const HostMatrix& plain, int64_t first, int64_t count, const QuantFormat& format, uint8_t* qweight,
                     uint16_t* scales) override;
  void add_gram(Tensor& gram, const MatmulInput& x, int rows) override;
  void upload(Tensor& out, const TensorView& source) override;
  std::span<const float> read_f32(const Tensor& tensor, int rows, std::vector<float>& scratch) override;

  void set_reader(MatmulInput& input, const Matrix& weight) override;
  void embed(Tensor& out, const Matrix& table, std::span<const int32_t> token_ids) override;
  void rms_norm(MatmulInput& out, const Tensor& x, const Tensor& weight, float eps, int rows) override;
  void add_rms_norm(MatmulInput& out, Tensor& residual, const Tensor& delta, const Tensor& weight, float eps,
                    int rows) override;
  void matmul(Tensor& out, const MatmulInput& in, const Matrix& weight, const Tensor* bias, int rows) override;
  void qk_norm_rope(Tensor& qkv, const HeadShape& heads, const Tensor& q_norm, const Tensor& k_norm, float eps,
                    const Tensor& cos, const Tensor& sin, std::span<const int32_t> positions) override;
  void store_kv(KvLayer& kv, const Tensor& qkv, std::span<const int32_t> slot_mapping) override;
  void paged_attention(MatmulInput& out, const Tensor& qkv, const KvLayer& kv,
                       const AttentionMetadata& metadata) override;
  void silu_and_mul(MatmulInput& out, const Tensor& gate_up, int rows) override;
  void gather_rows(Tensor& out, const Tensor& x, std::span<const int32_t> rows) override;

 protected:
  const KernelSet& kernel_set() const { return kernels_; }
  ThreadPool& pool() { return pool_; }

 private:
  // body(row, worker) for every row: on the pool where the work (elements touched) is worth waking it.
  void for_each_row(int rows, int64_t elements_per_row, FunctionRef<void(int row, int worker)> body);
  // The same for rows of `out`: body writes the row to `to` as elements of `type`; those of an int8 input are quantized
  // from f32.
  void write_rows(MatmulInput& out, int rows, int64_t elements_per_row,
                  FunctionRef<void(int row, void* to, DType type)> body);
  void quantize_row(MatmulInput& out, int row, const float* values) const;

  const KernelSet& kernels_;
  DType kv_dtype_;
  ThreadPool pool_;
  CpuAttention attention_;
  std::vector<float> row_scratch_;  // [threads, longest int8 input]: a row before it is quantized
  DeviceBuffer attended_;           // [rows, cols] f32 of the largest int8 input: heads before they are quantized
};

}  // namespace qwen
