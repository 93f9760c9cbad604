// A token's id: its row in the embedding table.
#pragma once

#include <cstdint>

namespace qwen {

using TokenId = int32_t;

}  // namespace qwen
