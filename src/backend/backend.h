// The operations a forward pass is made of. One implementation per device, chosen by backend/create.h; all calls come
// from the engine thread, in order, and may be asynchronous until read_f32.
//
// Batch invariance: row i of every result depends on row i of the inputs (and, for attention, on its own sequence)
// alone, bit for bit; never on the number of rows, the other rows, the chunking of a prompt or the number of threads.
//
// `rows` is the number of rows in use, ≤ the first dimension of every tensor given; buffers are sized once
// (model/workspace.h) and nothing allocates during a step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/attention.h"
#include "backend/matrix.h"
#include "backend/tensor.h"
#include "quant/host_matrix.h"

namespace qwen {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;     // "cpu", "cuda:0"
  virtual std::string_view kernels() const = 0;  // "avx512_bf16", "avx2", "reference"
  virtual size_t free_memory() const = 0;        // bytes that weights, workspace and KV cache may still take
  // Why attention with these heads cannot be computed here: the field of config.json, its value and what is allowed.
  // Nothing where it can.
  virtual std::optional<std::string> heads_problem(const HeadShape& heads) const = 0;

  // --- Memory. Errors: Error{kOs or kDeviceUnavailable} when there is not enough.
  virtual Tensor alloc(DType dtype, const Shape& shape) = 0;  // zero-filled
  // What weights that were prepared in this format read, and with set_reader those that became something else.
  virtual MatmulInput alloc_matmul_input(int max_rows, int cols, const QuantFormat& weights) = 0;
  virtual KvLayer alloc_kv(DType dtype, int num_blocks, int block_size,
                           const HeadShape& heads) = 0;  // zero-filled, committed lazily
  virtual DType kv_dtype() const = 0;                    // element type of the KV cache: asked for, or preferred
  virtual int kv_block_size() const = 0;                 // preferred tokens per block of the KV cache
  virtual size_t kv_bytes_per_token(DType dtype, const HeadShape& heads) const = 0;  // of one layer, keys and values
  // Bytes that prepare() spends on a [rows, cols] matrix of such numbers, padding included.
  virtual size_t weight_bytes(int64_t rows, int64_t cols, DType stored, const QuantFormat& format) const = 0;
  // What prepare() makes of weights when `asked` for this format: kGrouped where it multiplies the folder's own
  // integers (GPTQ, AWQ), whatever is asked. Errors: kBadData.
  virtual QuantFormat prepared_format(std::span<const HostMatrix> /*stacked*/, const QuantFormat& asked) const {
    return asked;
  }
  // The same of weights that nobody has seen: stored in this format with f16 scales, groups in order and the zero
  // points that are usual with it.
  virtual QuantFormat expected_format(const QuantFormat& /*stored*/, int64_t /*cols*/, const QuantFormat& asked) const {
    return asked;
  }
  // Repacks weights for this device; several matrices with equal cols are stacked along the rows (q, k, v → one
  // matmul). `format`: kNone takes them as they are; kInt8 and kInt4 quantize them, take those that a folder has in
  // this format, or a single one that was prepared in it before and kept (HostMatrix::owner).
  virtual Matrix prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) = 0;
  // For keeping prepared weights in a file. The packing's name, which says everything that their bytes depend on beside
  // the weights and the format: equal names, equal bytes. Empty: such weights cannot be kept.
  virtual std::string packing(const QuantFormat&) const { return {}; }
  virtual size_t packed_bytes(int64_t /*rows*/, int64_t /*cols*/, const QuantFormat&) const { return 0; }
  // `scratch` backs the result where the device is not the host.
  virtual std::span<const std::byte> packed(const Matrix&, std::vector<std::byte>& /*scratch*/) const { return {}; }
  // Rows [first, first + count) of a plain matrix in kInt8 or kInt4 as a folder stores them (quant/integer_rows.h):
  // preparing the result gives the bits that preparing the plain matrix gives. Errors: kUsage where the device cannot.
  virtual void quantize_rows(const HostMatrix& plain, int64_t first, int64_t count, const QuantFormat& format,
                             uint8_t* qweight, uint16_t* scales);
  // gram += xᵀ·x over the first `rows` rows, rounded to bf16: what calibrating quantization asks of a linear layer's
  // input. f32 [cols, cols], the lower triangle alone. Errors: kUsage where the device cannot.
  virtual void add_gram(Tensor& gram, const MatmulInput& x, int rows);
  virtual void upload(Tensor& out, const TensorView& source) = 0;  // converts f16/bf16 sources to a kF32 tensor
  // The first `rows` rows of an f32 tensor [n, cols], in host memory: `scratch` backs the result where the device is
  // not the host.
  virtual std::span<const float> read_f32(const Tensor& tensor, int rows, std::vector<float>& scratch) = 0;

  // --- The step. f32 tensors unless said otherwise.
  // What is written to `input` from now on is for this matrix.
  virtual void set_reader(MatmulInput& /*input*/, const Matrix& /*weight*/) {}
  virtual void embed(Tensor& out, const Matrix& table,
                     std::span<const int32_t> token_ids) = 0;  // out[i] = table row token_ids[i]
  // out = x · rsqrt(mean(x²) + eps) · weight
  virtual void rms_norm(MatmulInput& out, const Tensor& x, const Tensor& weight, float eps, int rows) = 0;
  // residual += delta, then out = rms_norm(residual)
  virtual void add_rms_norm(MatmulInput& out, Tensor& residual, const Tensor& delta, const Tensor& weight, float eps,
                            int rows) = 0;
  virtual void matmul(Tensor& out, const MatmulInput& in, const Matrix& weight, const Tensor* bias, int rows) = 0;
  // In place on qkv [rows, heads.qkv_size()]: RMSNorm of each query and key head with the [head_dim] weights, then
  // rotary embedding (rotate-half) at positions[row]. cos, sin: [max_positions, head_dim / 2].
  virtual void qk_norm_rope(Tensor& qkv, const HeadShape& heads, const Tensor& q_norm, const Tensor& k_norm, float eps,
                            const Tensor& cos, const Tensor& sin, std::span<const int32_t> positions) = 0;
  virtual void store_kv(KvLayer& kv, const Tensor& qkv,
                        std::span<const int32_t> slot_mapping) = 0;  // row i → slot slot_mapping[i]
  // Causal attention with scale 1/√head_dim; out rows: [num_heads · head_dim].
  virtual void paged_attention(MatmulInput& out, const Tensor& qkv, const KvLayer& kv,
                               const AttentionMetadata& metadata) = 0;
  virtual void silu_and_mul(MatmulInput& out, const Tensor& gate_up,
                            int rows) = 0;  // [rows, 2n] → silu(first n) · last n
  virtual void gather_rows(Tensor& out, const Tensor& x, std::span<const int32_t> rows) = 0;  // out[i] = x[rows[i]]
};

}  // namespace qwen
