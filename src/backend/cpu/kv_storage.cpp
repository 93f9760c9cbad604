#include "backend/cpu/kv_storage.h"

#include "backend/cpu/host_memory.h"
#include "backend/cpu/int8_kv_layout.h"
#include "base/error.h"

namespace qwen {
namespace {

int64_t group_bytes(DType dtype, int head_dim) {  // of kKvGroup tokens' keys or values
  if (dtype == DType::kI8) return int8_kv_group_bytes(head_dim);
  return int64_t{kKvGroup} * padded_head_dim(head_dim) * static_cast<int64_t>(dtype_size(dtype));
}
int64_t keys_bytes(const KvLayer& kv) {  // of one block and head
  return kv.block_size / kKvGroup * group_bytes(kv.dtype, kv.heads.head_dim);
}
int64_t block_bytes(const KvLayer& kv) { return 2 * kv.heads.num_kv_heads * keys_bytes(kv); }

struct GroupBytes {  // of the token's group
  std::byte* keys;
  std::byte* values;
};
GroupBytes group_of(KvLayer& kv, int kv_head, int slot) {
  std::byte* const head =
      kv.buffer.as<std::byte>() + slot / kv.block_size * block_bytes(kv) + 2 * kv_head * keys_bytes(kv);
  std::byte* const keys = head + slot % kv.block_size / kKvGroup * group_bytes(kv.dtype, kv.heads.head_dim);
  return {keys, keys + keys_bytes(kv)};
}

void put(float* out, float value) { *out = value; }
void put(uint16_t* out, float value) { *out = f32_to_bf16(value); }

template <typename T>
void store(KvLayer& kv, int kv_head, int slot, const float* key, const float* value) {
  const int padded = padded_head_dim(kv.heads.head_dim), token = slot % kKvGroup;
  const GroupBytes group = group_of(kv, kv_head, slot);
  T* const k = reinterpret_cast<T*>(group.keys) + 2 * token;
  for (int d = 0; d < kv.heads.head_dim; ++d) put(k + d / 2 * 2 * kKvGroup + d % 2, key[d]);
  T* const v = reinterpret_cast<T*>(group.values) + token / 2 * 2 * padded + token % 2;
  for (int d = 0; d < kv.heads.head_dim; ++d) put(v + 2 * d, value[d]);
  if (token % 2 == 0) {
    for (int d = 0; d < kv.heads.head_dim; ++d) put(v + 2 * d + 1, 0.0f);
  }
}

void store_int8(KvLayer& kv, int kv_head, int slot, const float* key, const float* value,
                void (*quantize)(const QuantizeRowTask&)) {
  const int head_dim = kv.heads.head_dim, padded = padded_head_dim(head_dim), token = slot % kKvGroup;
  const int64_t scale_bytes = int8_kv_scale_bytes(head_dim);
  const GroupBytes group = group_of(kv, kv_head, slot);
  Int8Activations quantized[kMaxHeadGroups];
  const auto put_scales = [&](std::byte* to) {
    for (int i = 0; i < integer_groups(head_dim); ++i)
      reinterpret_cast<float*>(to)[i * kKvGroup + token] = quantized[i].scale;
  };
  const auto q = [&](int d) { return quantized[d / kIntegerGroup].q[d % kIntegerGroup]; };
  quantize({key, quantized, head_dim});
  put_scales(group.keys);
  auto* const k = reinterpret_cast<uint8_t*>(group.keys + scale_bytes) + 4 * token;
  for (int d = 0; d < padded; ++d) k[d / 4 * 4 * kKvGroup + d % 4] = static_cast<uint8_t>(q(d) + kKeyOffset);
  quantize({value, quantized, head_dim});
  put_scales(group.values);
  auto* const v = reinterpret_cast<int8_t*>(group.values + scale_bytes) + token / 4 * 4 * padded + token % 4;
  for (int d = 0; d < padded; ++d) v[4 * d] = q(d);
}

}  // namespace

size_t kv_token_bytes(DType dtype, const HeadShape& heads) {
  return static_cast<size_t>(2 * heads.num_kv_heads * (group_bytes(dtype, heads.head_dim) / kKvGroup));
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
  if (dtype != DType::kBF16 && dtype != DType::kF32 && dtype != DType::kI8) {
    throw Error(ErrorCode::kInternal, str("KV cache of type ", dtype_name(dtype), " on the CPU"));
  }
  KvLayer kv{.dtype = dtype, .num_blocks = num_blocks, .block_size = block_size, .heads = heads, .buffer = {}};
  const size_t bytes = static_cast<size_t>(num_blocks) * static_cast<size_t>(block_size) * kv_token_bytes(dtype, heads);
  kv.buffer = allocate_host_memory(bytes, "the KV cache");
  return kv;
}

KvView kv_view(const KvLayer& kv, int kv_head, const int32_t* block_table) {
  const std::byte* const keys = kv.buffer.as<std::byte>() + 2 * kv_head * keys_bytes(kv);
  const int64_t element = static_cast<int64_t>(dtype_size(kv.dtype));
  return {.keys = keys,
          .values = keys + keys_bytes(kv),
          .block_stride = block_bytes(kv) / element,
          .group_stride = group_bytes(kv.dtype, kv.heads.head_dim) / element,
          .block_table = block_table,
          .block_size = kv.block_size};
}

void store_kv_head(KvLayer& kv, int kv_head, int slot, const float* key, const float* value,
                   void (*quantize)(const QuantizeRowTask&)) {
  switch (kv.dtype) {
    case DType::kI8:
      return store_int8(kv, kv_head, slot, key, value, quantize);
    case DType::kBF16:
      return store<uint16_t>(kv, kv_head, slot, key, value);
    default:
      return store<float>(kv, kv_head, slot, key, value);
  }
}

}  // namespace qwen
