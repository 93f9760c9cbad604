#include "commands/standard_input.h"

#include <iostream>

#include "base/error.h"
#include "base/utf8.h"

namespace qwen {

std::string read_standard_input() {
  constexpr size_t kMaxBytes = size_t{64} << 20;
  std::string text;
  char buffer[65536];
  while (std::cin.read(buffer, sizeof buffer), std::cin.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(std::cin.gcount()));
    if (text.size() > kMaxBytes)
      throw Error(ErrorCode::kBadData, "standard input: more than 64 MiB; use --jsonl with one text a line");
  }
  if (!utf8_valid(text)) throw Error(ErrorCode::kBadData, "standard input: the text must be UTF-8");
  return text;
}

}  // namespace qwen
