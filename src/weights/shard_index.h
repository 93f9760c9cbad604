// model.safetensors.index.json and pytorch_model.bin.index.json: which shard holds which tensor.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace qwen {

// Tensor name → shard file name. Every file name is a plain name (no folder, no "..", no control characters) that ends
// in `extension`; there are at most kMaxTensors tensors and kMaxShards files. `path` is named in errors (kBadData).
using ShardIndex = std::map<std::string, std::string, std::less<>>;

inline constexpr size_t kMaxShards = 1024;
inline constexpr size_t kMaxShardIndexBytes = 8 << 20;

ShardIndex parse_shard_index(std::string_view json, std::string_view extension, const std::string& path);

}  // namespace qwen
