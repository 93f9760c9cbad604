// Text as a JSON string, in the spelling of Python's json.dumps(text, ensure_ascii=False): chat templates and answers
// are compared with what it writes.
#pragma once

#include <string>
#include <string_view>

namespace qwen {

// With its quotes. Non-ASCII stays as it is, `text` must be UTF-8 for the result to be JSON.
void append_json_string(std::string& out, std::string_view text);

}  // namespace qwen
