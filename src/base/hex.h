// Numbers in hexadecimal.
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

// The lowest `digits` digits (1 to 16) of the value, lower case, zeros in front.
std::string to_hex(uint64_t value, int digits = 16);

}  // namespace qwen
