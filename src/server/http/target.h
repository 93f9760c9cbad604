// A request target → the path that routing and authorization look at. Only origin form ("/path?query") and "*" for
// OPTIONS exist; a path that could mean two things to two readers (dot segments, encoded slashes, backslashes, control
// characters) is refused.
#pragma once

#include <string>
#include <string_view>

namespace qwen {

// Returns what is wrong, or null after filling `path` (percent-decoded once) and `query` (as sent, without '?').
const char* parse_target(std::string_view target, std::string_view method, std::string& path, std::string& query);

}  // namespace qwen
