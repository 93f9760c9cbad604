// Unicode normalization form C. Text that is already normal (all ASCII, nearly everything typed) costs one look at each
// character; the rest is normalized piece by piece in O(n log n), also for a megabyte of combining marks in the wrong
// order.
#pragma once

#include <string>
#include <string_view>

namespace qwen {

// NFC of valid UTF-8: `text` itself where nothing changes, else a view of `storage`.
std::string_view to_nfc(std::string_view text, std::string& storage);

}  // namespace qwen
