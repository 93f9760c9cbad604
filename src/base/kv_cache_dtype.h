// The names of --kv-cache-dtype and the element types that they ask for: the only list of them.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/dtype.h"

namespace qwen {

inline constexpr std::array<std::string_view, 3> kKvCacheDtypes = {"auto", "bfloat16", "int8"};

struct KvCacheDtype {
  std::optional<DType> dtype;  // none: what the kernels prefer
};

// None for a name that is not in the list.
constexpr std::optional<KvCacheDtype> kv_cache_dtype(std::string_view name) {
  if (name == kKvCacheDtypes[0]) return KvCacheDtype{};
  for (const DType dtype : {DType::kBF16, DType::kI8})
    if (name == dtype_name(dtype)) return KvCacheDtype{dtype};
  return std::nullopt;
}

}  // namespace qwen
