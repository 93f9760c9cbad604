#include "server/http/target.h"

#include <algorithm>

#include "base/utf8.h"

namespace qwen {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const char* decode_path(std::string_view raw, std::string& path) {
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      path += raw[i];
      continue;
    }
    const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1,
              low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
    if (high < 0 || low < 0) return "the path holds a broken percent-escape";
    const char byte = static_cast<char>(high * 16 + low);
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) return "the path holds an encoded control character";
    if (byte == '/' || byte == '\\') return "the path holds an encoded slash";
    path += byte;
    i += 2;
  }
  return utf8_valid(path) ? nullptr : "the path is not UTF-8";
}

bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash before the segment
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(end);
  }
  return false;
}

}  // namespace

const char* parse_target(std::string_view target, std::string_view method, std::string& path, std::string& query) {
  path.clear();
  query.clear();
  if (target == "*" && method == "OPTIONS") {
    path = "*";
    return nullptr;
  }
  if (target.empty() || target[0] != '/') return "the target must begin with '/'";
  const bool printable = std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || target.find_first_of("\\#") != std::string_view::npos)
    return "the target holds a character that must be encoded";
  const size_t question = std::min(target.find('?'), target.size());
  query = target.substr(std::min(question + 1, target.size()));
  if (const char* problem = decode_path(target.substr(0, question), path)) return problem;
  return has_dot_segment(path) ? "the path holds a dot segment" : nullptr;
}

}  // namespace qwen
