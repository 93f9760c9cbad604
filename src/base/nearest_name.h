// The name that somebody may have meant by one that is not known.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace qwen {

// The first of those nearest to `name` by edit distance (two neighbours swapped are one edit); none where each differs
// in more than a third of its letters.
std::optional<std::string_view> nearest_name(std::string_view name, std::span<const std::string_view> known);

}  // namespace qwen
