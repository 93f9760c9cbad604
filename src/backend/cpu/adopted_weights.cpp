// See adopted_weights.h.
#include "backend/cpu/adopted_weights.h"

#include <limits>
#include <memory>

#include "backend/cpu/layouts.h"
#include "base/error.h"

namespace qwen {

Matrix adopt_weights(const HostMatrix& packed, size_t (*bytes_of)(const QuantFormat&, int64_t rows, int64_t cols)) {
  constexpr int64_t kMaxDim = std::numeric_limits<int32_t>::max() / 2;
  const bool possible = packed.rows >= 1 && packed.cols >= 1 && packed.rows <= kMaxDim && packed.cols <= kMaxDim;
  const size_t bytes = possible ? bytes_of(packed.format, packed.rows, packed.cols) : 0;
  if (bytes == 0 || bytes != packed.weight.size_bytes() ||
      reinterpret_cast<uintptr_t>(packed.weight.data) % kCacheLine != 0) {
    throw Error(ErrorCode::kBadData, str("packed weights of [", packed.rows, ", ", packed.cols, "] take ", bytes,
                                         " bytes, but here are ", packed.weight.size_bytes()));
  }
  // Nobody writes weights; a DeviceBuffer is not told apart by that.
  void* const data = const_cast<std::byte*>(packed.weight.data);
  return {.format = packed.format,
          .rows = static_cast<int>(packed.rows),
          .cols = static_cast<int>(packed.cols),
          .buffer = DeviceBuffer(data, bytes, std::const_pointer_cast<void>(packed.owner))};
}

}  // namespace qwen
