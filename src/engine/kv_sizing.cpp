// See kv_sizing.h.
#include "engine/kv_sizing.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace qwen {

namespace {

// Of the memory left after weights and workspace. The rest is for the page cache that holds the weight files, for
// buffers of requests and for whoever else lives on the machine; pages of the cache are committed as they are first
// used.
constexpr double kShareOfFreeMemory = 0.6;

// A cache that holds less than this is refused: no useful prompt fits.
constexpr int kMinModelLen = 16;

std::string size_text(uint64_t bytes) {
  if (bytes < (1 << 20)) return str((bytes + 1023) >> 10, " KiB");
  return str((bytes + (1 << 20) - 1) >> 20, " MiB");
}

}  // namespace

KvSizing size_kv_cache(const KvSizingInput& input) {
  QWEN_CHECK(input.bytes_per_token > 0 && input.block_size > 0 && input.max_num_seqs > 0 && input.model_max_len > 0);
  if (input.max_model_len > input.model_max_len) {
    throw Error(ErrorCode::kConfig,
                str("max_model_len is ", input.max_model_len, " but the model has ", input.model_max_len,
                    " positions; ask for at most that"),
                "max_model_len");
  }
  const int wanted_len =
      input.max_model_len > 0 ? input.max_model_len : std::min(input.model_max_len, kDefaultMaxModelLen);
  const uint64_t block_bytes = uint64_t{input.bytes_per_token} * static_cast<uint64_t>(input.block_size);
  const uint64_t available = input.kv_cache_bytes > 0
                                 ? input.kv_cache_bytes
                                 : static_cast<uint64_t>(static_cast<double>(input.free_memory) * kShareOfFreeMemory);
  const auto blocks_for = [&](int tokens) {
    return (static_cast<uint64_t>(tokens) + static_cast<uint64_t>(input.block_size) - 1) /
           static_cast<uint64_t>(input.block_size);
  };
  // Slot numbers are int32.
  const uint64_t most_blocks = static_cast<uint64_t>(INT32_MAX) / static_cast<uint64_t>(input.block_size);
  const uint64_t useful = blocks_for(wanted_len) * static_cast<uint64_t>(input.max_num_seqs);
  const uint64_t blocks = std::min({available / block_bytes, useful, most_blocks});
  const uint64_t held_tokens = blocks * static_cast<uint64_t>(input.block_size);

  const int least_len = input.max_model_len > 0 ? input.max_model_len : std::min(kMinModelLen, input.model_max_len);
  if (held_tokens < static_cast<uint64_t>(least_len)) {
    const std::string needed = size_text(blocks_for(least_len) * block_bytes);
    if (input.kv_cache_bytes > 0) {
      throw Error(ErrorCode::kConfig,
                  str("a KV cache of ", size_text(available), " is too small: one sequence of ", least_len,
                      " tokens needs ", needed, "; raise kv_cache or lower max_model_len"),
                  "kv_cache_bytes");
    }
    throw Error(ErrorCode::kOs, str("the KV cache for one sequence of ", least_len, " tokens needs ", needed,
                                    " but only ", size_text(available), " of ", size_text(input.free_memory),
                                    " free memory are left for it; free memory or lower max_model_len"));
  }
  return {static_cast<int>(blocks), blocks * block_bytes,
          static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(wanted_len), held_tokens))};
}

}  // namespace qwen
