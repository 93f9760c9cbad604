// How the numbers of a matrix are spelled, independent of files and devices. A format is data: backends read the
// descriptor and choose a kernel; those that have none dequantize.
#pragma once

#include <cstdint>

namespace qwen {

struct QuantFormat {
  enum class Kind : uint8_t { kNone };  // kNone: plain floats of the tensor's dtype
  Kind kind = Kind::kNone;

  friend bool operator==(const QuantFormat&, const QuantFormat&) = default;
};

}  // namespace qwen
