// Cuts text into the pieces that BPE merges within: a hand-written, linear-time scanner for exactly the regular
// expression below. The tokenizer file must name the same expression (tokenizer_files.cpp checks it).
#pragma once

#include <cstddef>
#include <string_view>

namespace qwen {

// Source: Qwen3's tokenizer.json, pre_tokenizer.pretokenizers[0].pattern.Regex (the GPT-4 pattern, but digits one by
// one).
inline constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Bytes of the first piece of `text`, which is valid UTF-8 and not empty. Cutting a text piece by piece takes linear
// time.
size_t next_piece(std::string_view text);

}  // namespace qwen
