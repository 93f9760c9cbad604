// The safetensors format: 8 bytes little-endian header length N, N bytes of JSON, then the data that the header's
// offsets index. Checks what the format's reference reader checks (and more strictly: no empty tensors, only dtypes
// that we can hold): names unique, offsets ordered, in the file, without overlap or hole, each range exactly shape ×
// dtype. Source: the format's README, "Format".
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "weights/tensor_info.h"

namespace qwen {

// The reference allows 100 MB; kMaxTensors entries of 200 bytes need 13 MB.
inline constexpr uint64_t kMaxSafetensorsHeader = 16ull << 20;

struct SafetensorsFile {
  std::vector<TensorInfo> tensors;  // ordered by offset
  uint64_t header_bytes = 0;        // the length field and the JSON; the data starts here
};

// `path` is named in errors (kBadData).
SafetensorsFile read_safetensors(std::span<const std::byte> file, const std::string& path);

}  // namespace qwen
