// The bytes of one layer's keys and values: sizes, where a token lies, storing. Layouts: layouts.h, int8_kv_layout.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backend/attention.h"
#include "backend/cpu/integer_kernels.h"

namespace qwen {

// Of one token of one layer, all kv heads, keys and values, scales and padding included.
size_t kv_token_bytes(DType dtype, const HeadShape& heads);

// See Backend::heads_problem.
std::optional<std::string> kv_heads_problem(const HeadShape& heads);

// Zero-filled, committed as it is touched. Errors: kInternal for heads with a problem or a block size that is no
// multiple of kKvTile, kOs.
KvLayer allocate_kv(DType dtype, int num_blocks, int block_size, const HeadShape& heads);

// Of the heads from kv_head on.
KvView kv_view(const KvLayer& kv, int kv_head, const int32_t* block_table);

// One token's key and value ([head_dim] each) of one head. In bf16 and f32, storing into an even slot zeroes the value
// of its odd partner: a pair is multiplied as a whole, so what an earlier owner of the block left there (perhaps a NaN)
// must not be read. Tokens of a block are therefore stored in ascending order. An int8 cache is written by `quantize`,
// an IntegerKernels::quantize_row.
void store_kv_head(KvLayer& kv, int kv_head, int slot, const float* key, const float* value,
                   void (*quantize)(const QuantizeRowTask&));

}  // namespace qwen
