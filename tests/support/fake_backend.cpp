// See fake_backend.h.
#include "support/fake_backend.h"

#include <cstring>

#include "base/error.h"

namespace qwen {

namespace {

[[noreturn]] void computes_nothing() { throw Error(ErrorCode::kInternal, "the fake backend computes nothing"); }

}  // namespace

Tensor FakeBackend::alloc(DType dtype, const Shape& shape) {
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * dtype_size(dtype);
  auto memory = std::make_shared<std::vector<std::byte>>(bytes);
  std::byte* data = memory->data();
  return {dtype, shape, DeviceBuffer(data, bytes, std::move(memory))};
}

MatmulInput FakeBackend::alloc_matmul_input(int max_rows, int cols, const QuantFormat&) {
  return {max_rows, cols, DType::kF32, {}};
}

KvLayer FakeBackend::alloc_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads) {
  return {dtype, num_blocks, block_size, heads, {}};
}

Matrix FakeBackend::prepare(std::span<const HostMatrix> stacked, const QuantFormat& format) {
  Matrix matrix;
  matrix.format = format;
  matrix.cols = static_cast<int>(stacked.front().cols);
  for (const HostMatrix& part : stacked) matrix.rows += static_cast<int>(part.rows);
  return matrix;
}

void FakeBackend::upload(Tensor& out, const TensorView& source) {
  if (source.dtype != DType::kF32) computes_nothing();
  std::memcpy(out.buffer.as<std::byte>(), source.data, source.size_bytes());
}

std::span<const float> FakeBackend::read_f32(const Tensor& tensor, int rows, std::vector<float>&) {
  return {tensor.buffer.as<float>(), static_cast<size_t>(rows * tensor.shape[1])};
}

void FakeBackend::embed(Tensor&, const Matrix&, std::span<const int32_t>) { computes_nothing(); }
void FakeBackend::rms_norm(MatmulInput&, const Tensor&, const Tensor&, float, int) { computes_nothing(); }
void FakeBackend::add_rms_norm(MatmulInput&, Tensor&, const Tensor&, const Tensor&, float, int) { computes_nothing(); }
void FakeBackend::matmul(Tensor&, const MatmulInput&, const Matrix&, const Tensor*, int) { computes_nothing(); }
void FakeBackend::qk_norm_rope(Tensor&, const HeadShape&, const Tensor&, const Tensor&, float, const Tensor&,
                               const Tensor&, std::span<const int32_t>) {
  computes_nothing();
}
void FakeBackend::store_kv(KvLayer& kv, const Tensor& qkv, std::span<const int32_t> slot_mapping) {
  QWEN_CHECK(static_cast<int64_t>(slot_mapping.size()) <= qkv.shape[0]);
  for (const int32_t slot : slot_mapping) QWEN_CHECK(slot >= 0 && slot < kv.num_blocks * kv.block_size);
}
void FakeBackend::paged_attention(MatmulInput&, const Tensor&, const KvLayer&, const AttentionMetadata&) {
  computes_nothing();
}
void FakeBackend::silu_and_mul(MatmulInput&, const Tensor&, int) { computes_nothing(); }
void FakeBackend::gather_rows(Tensor&, const Tensor&, std::span<const int32_t>) { computes_nothing(); }

}  // namespace qwen
