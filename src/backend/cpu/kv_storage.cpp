#include "backend/cpu/kv_storage.h"

#include "backend/cpu/host_memory.h"
#include "backend/cpu/layouts.h"
#include "base/error.h"

namespace qwen {
namespace {

int64_t head_stride(const KvLayer& kv) {  // of one block: keys, then values
  return int64_t{2} * kv.block_size * padded_head_dim(kv.heads.head_dim);
}
int64_t block_stride(const KvLayer& kv) { return kv.heads.num_kv_heads * head_stride(kv); }

void put(float* out, float value) { *out = value; }
void put(uint16_t* out, float value) { *out = f32_to_bf16(value); }

template <typename T>
void store(KvLayer& kv, int kv_head, int slot, const float* key, const float* value) {
  const int padded = padded_head_dim(kv.heads.head_dim);
  const int in_block = slot % kv.block_size, token = in_block % kKvGroup;
  T* const head = kv.buffer.as<T>() + slot / kv.block_size * block_stride(kv) + kv_head * head_stride(kv);
  T* const group = head + in_block / kKvGroup * int64_t{kKvGroup} * padded;
  T* const k = group + 2 * token;
  for (int d = 0; d < kv.heads.head_dim; ++d) put(k + d / 2 * 2 * kKvGroup + d % 2, key[d]);
  T* const v = group + int64_t{kv.block_size} * padded + token / 2 * 2 * padded + token % 2;
  for (int d = 0; d < kv.heads.head_dim; ++d) put(v + 2 * d, value[d]);
  if (token % 2 == 0) {
    for (int d = 0; d < kv.heads.head_dim; ++d) put(v + 2 * d + 1, 0.0f);
  }
}

}  // namespace

int64_t kv_elements_per_token(const HeadShape& heads) {
  return int64_t{2} * heads.num_kv_heads * padded_head_dim(heads.head_dim);
}

std::optional<std::string> kv_heads_problem(const HeadShape& heads) {
  if (heads.head_dim < 2 || heads.head_dim > kMaxHeadDim || heads.head_dim % 2 != 0)
    return str("head_dim is ", heads.head_dim, "; allowed is an even number from 2 to ", kMaxHeadDim);
  if (heads.num_kv_heads < 1 || heads.num_heads % heads.num_kv_heads != 0 ||
      heads.num_heads / heads.num_kv_heads > kMaxQueryRows)
    return str("num_attention_heads is ", heads.num_heads, "; allowed is a multiple of num_key_value_heads, ",
               heads.num_kv_heads, ", at most ", kMaxQueryRows, " times it");
  return std::nullopt;
}

KvLayer allocate_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads) {
  if (num_blocks < 1 || block_size < 1 || block_size % kKvGroup != 0) {
    throw Error(ErrorCode::kInternal, str("KV cache of ", num_blocks, " blocks of ", block_size,
                                          " tokens: a multiple of ", kKvGroup, " tokens is needed"));
  }
  if (const auto problem = kv_heads_problem(heads)) throw Error(ErrorCode::kInternal, "KV cache: " + *problem);
  if (dtype != DType::kBF16 && dtype != DType::kF32) {
    throw Error(ErrorCode::kInternal, str("KV cache of type ", dtype_name(dtype), " on the CPU"));
  }
  KvLayer kv{.dtype = dtype, .num_blocks = num_blocks, .block_size = block_size, .heads = heads, .buffer = {}};
  const size_t bytes = static_cast<size_t>(num_blocks) * static_cast<size_t>(block_size) *
                       static_cast<size_t>(kv_elements_per_token(heads)) * dtype_size(dtype);
  kv.buffer = allocate_host_memory(bytes, "the KV cache");
  return kv;
}

KvView kv_view(const KvLayer& kv, int kv_head, const int32_t* block_table) {
  const int64_t first = kv_head * head_stride(kv), values = int64_t{kv.block_size} * padded_head_dim(kv.heads.head_dim);
  const auto view = [&](const auto* base) {
    return KvView{.keys = base + first,
                  .values = base + first + values,
                  .block_stride = block_stride(kv),
                  .group_stride = int64_t{kKvGroup} * padded_head_dim(kv.heads.head_dim),
                  .block_table = block_table,
                  .block_size = kv.block_size};
  };
  return kv.dtype == DType::kBF16 ? view(kv.buffer.as<uint16_t>()) : view(kv.buffer.as<float>());
}

void store_kv_head(KvLayer& kv, int kv_head, int slot, const float* key, const float* value) {
  if (kv.dtype == DType::kBF16) {
    store<uint16_t>(kv, kv_head, slot, key, value);
  } else {
    store<float>(kv, kv_head, slot, key, value);
  }
}

}  // namespace qwen
