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
    kInt8,      // rotated inputs, one scale per output and group of them; quant/integer_format.h
    kInt4,      // the same with 4 bits
    kGrouped,   // the integers of a GPTQ or AWQ matrix in a backend's packing; quant/grouped_format.h
  };
  Kind kind = Kind::kNone;
  int bits = 16;        // of one stored weight
  int group_size = 0;   // kGptq, kAwq, kInt8, kInt4, kGrouped: input features that share a scale; divides nothing in
                        // particular
  int zero_offset = 0;  // kGptq: added to a stored zero point, 1 in checkpoint format v1
  bool zero_points = false;  // kGrouped: each group and output has its own; else they are 2^(bits-1)
  bool wide_scales = false;  // kGrouped: scales are f32; else f16
  bool reordered = false;    // kGrouped: inputs stand in the order of their groups (desc_act)

  friend bool operator==(const QuantFormat&, const QuantFormat&) = default;
};

}  // namespace qwen
