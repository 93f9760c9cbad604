// Numbers for a person's eye.
#pragma once

#include <cstdint>
#include <string>

namespace qwen {

std::string grouped(int64_t value);           // 4,022,468,096
std::string gibibytes(double bytes);          // "7.49 GiB", "12.3 MiB", "512 B"
std::string fixed(double value, int digits);  // 3.14

}  // namespace qwen
