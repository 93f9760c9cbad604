// GPT-2's spelling of bytes in tokenizer files: every byte is one printable character ("Ġ" is a space).
#pragma once

#include <string>
#include <string_view>

namespace qwen {

// Appends the bytes that `spelling` stands for. False, with `out` unspecified, where it holds a character that spells
// no byte.
bool append_byte_level(std::string_view spelling, std::string& out);

std::string byte_level_spelling(std::string_view bytes);  // the other way

}  // namespace qwen
