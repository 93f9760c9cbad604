// A double as Python's repr prints it: the fewest digits that read back, 1.0, 1e+22, 1.5e-07.
#pragma once

#include <string>

namespace qwen {

std::string python_float(double value);  // finite

}  // namespace qwen
