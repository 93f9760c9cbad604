// All of standard input, bounded.
#pragma once

#include <string>

namespace qwen {

// Errors: kBadData beyond 64 MiB.
std::string read_standard_input();

}  // namespace qwen
