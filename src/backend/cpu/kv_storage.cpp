#include "backend/cpu/kv_storage.h"

#include "backend/cpu/host_memory.h"
#include "backend/cpu/int8_kv_layout.h"
#include "base/error.h"

namespace qwen {
namespace {

int64_t keys_bytes(DType dtype, int head_dim) {  // of one tile and head, and as many of the values
  if (dtype == DType::kI8) return int8_kv_bytes(head_dim);
  return int64_t{kKvTile} * padded_head_dim(head_dim) * static_cast<int64_t>(dtype_size(dtype));
}
int64_t keys_bytes(const KvLayer& kv) { return keys_bytes(kv.dtype, kv.heads.head_dim); }
int64_t tile_bytes(const KvLayer& kv) { return 2 * kv.heads.num_kv_heads * keys_bytes(kv); }

struct TileBytes {  // of the token's tile, one head
  std::byte* keys;
  std::byte* values;
};
TileBytes tile_of(KvLayer& kv, int kv_head, int slot) {
  std::byte* const keys = kv.buffer.as<std::byte>() + slot / kKvTile * tile_bytes(kv) + 2 * kv_head * keys_bytes(kv);
  return {keys, keys + keys_bytes(kv)};
}

// body(element, dim): where the token's value of each dimension lies, `together` tokens side by side.
template <typename Body>
void for_value_elements(int padded, int token, int together, const Body& body) {
  for (int first = 0; first < padded; first += kValueSlice) {
    const int width = value_slice_width(padded, first);
    const int at = first * kKvTile + token / together * together * width + token % together;
    for (int i = 0; i < width; ++i) body(at + i * together, first + i);
  }
}

void put(float* out, float value) { *out = value; }
void put(uint16_t* out, float value) { *out = f32_to_bf16(value); }

template <typename T>
void store(KvLayer& kv, int kv_head, int slot, const float* key, const float* value) {
  const int head_dim = kv.heads.head_dim, token = slot % kKvTile;
  const TileBytes tile = tile_of(kv, kv_head, slot);
  T* const k = reinterpret_cast<T*>(tile.keys) + 2 * token;
  for (int d = 0; d < head_dim; ++d) put(k + d / 2 * 2 * kKvTile + d % 2, key[d]);
  T* const values = reinterpret_cast<T*>(tile.values);
  for_value_elements(padded_head_dim(head_dim), token, 2, [&](int element, int dim) {
    if (dim >= head_dim) return;
    put(values + element, value[dim]);
    if (token % 2 == 0) put(values + element + 1, 0.0f);
  });
}

void store_int8(KvLayer& kv, int kv_head, int slot, const float* key, const float* value,
                void (*quantize)(const QuantizeRowTask&)) {
  const int head_dim = kv.heads.head_dim, padded = padded_head_dim(head_dim), token = slot % kKvTile;
  const int64_t scale_bytes = int8_kv_scale_bytes(head_dim);
  const TileBytes tile = tile_of(kv, kv_head, slot);
  Int8Activations quantized[kMaxHeadGroups];
  const auto put_scales = [&](std::byte* to) {
    for (int i = 0; i < integer_groups(head_dim); ++i)
      reinterpret_cast<float*>(to)[i * kKvTile + token] = quantized[i].scale;
  };
  const auto q = [&](int d) { return quantized[d / kIntegerGroup].q[d % kIntegerGroup]; };
  quantize({key, quantized, head_dim});
  put_scales(tile.keys);
  auto* const k = reinterpret_cast<uint8_t*>(tile.keys + scale_bytes) + 4 * token;
  for (int d = 0; d < padded; ++d) k[d / 4 * 4 * kKvTile + d % 4] = static_cast<uint8_t>(q(d) + kKeyOffset);
  quantize({value, quantized, head_dim});
  put_scales(tile.values);
  auto* const values = reinterpret_cast<int8_t*>(tile.values + scale_bytes);
  for_value_elements(padded, token, 4, [&](int element, int dim) { values[element] = q(dim); });
}

}  // namespace

size_t kv_token_bytes(DType dtype, const HeadShape& heads) {
  return static_cast<size_t>(2 * heads.num_kv_heads * (keys_bytes(dtype, heads.head_dim) / kKvTile));
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
  if (num_blocks < 1 || block_size < 1 || block_size % kKvTile != 0) {
    throw Error(ErrorCode::kInternal, str("KV cache of ", num_blocks, " blocks of ", block_size,
                                          " tokens: a multiple of ", kKvTile, " tokens is needed"));
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
  return {.tiles = kv.buffer.as<uint8_t>() + 2 * kv_head * keys_bytes(kv),
          .tile_stride = tile_bytes(kv),
          .head_stride = 2 * keys_bytes(kv),
          .values = keys_bytes(kv),
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
