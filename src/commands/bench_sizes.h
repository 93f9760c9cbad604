// Lists of test sizes as `bench` takes and shows them: "128,512,2048", or "none".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qwen {

// Errors: kUsage naming `flag`, what stands there and what is allowed.
std::vector<int> parse_sizes(std::string_view flag, std::string_view text, int least, int most);

std::string sizes_text(const std::vector<int>& sizes);

}  // namespace qwen
