// Floats in the element types that llama.cpp and its forks read. Q8_0 and Q4_0 are blocks of 32 along a row: the f16
// scale, then the integers (quant/ggml_block.h). Source: ggml's block_q8_0 and block_q4_0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "quant/ggml_block.h"

namespace qwen {

enum class GgmlType : uint32_t { kF32 = 0, kQ4_0 = 2, kQ8_0 = 8, kBF16 = 30 };  // GGUF's numbers

std::optional<GgmlType> ggml_type_of(std::string_view name);  // "f32", "bf16", "q8_0", "q4_0"

// Of `values` consecutive numbers; a multiple of kGgmlBlock where the type has blocks.
uint64_t ggml_bytes(GgmlType type, uint64_t values);

// Appends them to `out`, little-endian.
void ggml_encode(GgmlType type, std::span<const float> values, std::vector<std::byte>& out);

}  // namespace qwen
