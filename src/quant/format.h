// How the numbers of a matrix are spelled, independent of files and devices. A format is data: backends read the
// descriptor and choose a kernel; those that have none dequantize (quant/dequantize.h).
#pragma once

#include <cstdint>

namespace qwen {

struct QuantFormat {
  enum class Kind : uint8_t {
    kNone,      // plain floats of the tensor's dtype
    kGptq,      // integers with scales and zero points per group of input features; quant/gptq.h
    kAwq,       // the same, packed along the outputs; quant/awq.h
    kFp8Block,  // float8_e4m3fn with one scale per block of the matrix; quant/fp8_block.h
  };
  Kind kind = Kind::kNone;
  int bits = 16;       // of one stored weight
  int group_size = 0;  // kGptq, kAwq: input features that share a scale and a zero point; divides nothing in particular
  int zero_offset = 0;  // kGptq: added to a stored zero point, 1 in checkpoint format v1

  friend bool operator==(const QuantFormat&, const QuantFormat&) = default;
};

}  // namespace qwen
