// Header fields in the order in which they came; names compare without case.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qwen {

struct Header {
  std::string name, value;
};
using Headers = std::vector<Header>;

bool iequals(std::string_view a, std::string_view b);  // ASCII letters only
bool is_token(std::string_view text);                  // a name by RFC 9110 5.6.2: not empty, no separators
std::string_view trim_spaces(std::string_view text);   // spaces and tabs at both ends

std::optional<std::string_view> find_header(const Headers& headers, std::string_view name);
size_t count_headers(const Headers& headers, std::string_view name);

}  // namespace qwen
