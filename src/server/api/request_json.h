// A request body → JSON, strictly: UTF-8 without NUL bytes, one object, at most 32 levels deep, every key once, no
// number that a double or a 64-bit integer cannot hold. What passes has one meaning to every reader.
#pragma once

#include <string_view>

#include "text/json_value.h"

namespace qwen {

inline constexpr int kMaxRequestDepth = 32;
inline constexpr size_t kMaxRequestValues = 300'000;  // values in a body; bounds what they take in memory

// Errors: kInvalidValue with fixed text and a byte position, or the place of a number that is too large or of a key
// that is there twice ("messages[0].role"): no other of the body's own bytes.
JsonValue parse_request(std::string_view body);

}  // namespace qwen
