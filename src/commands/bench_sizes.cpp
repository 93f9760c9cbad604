// See bench_sizes.h.
#include "commands/bench_sizes.h"

#include <charconv>

#include "base/error.h"

namespace qwen {

std::vector<int> parse_sizes(std::string_view flag, std::string_view text, int least, int most) {
  if (text == "none") return {};
  std::vector<int> sizes;
  for (std::string_view rest = text;;) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const char* const end = item.data() + item.size();
    int size = 0;
    const auto [stop, error] = std::from_chars(item.data(), end, size);
    if (error != std::errc() || stop != end || size < least || size > most)
      throw Error(ErrorCode::kUsage,
                  str(flag, " is '", text, "'; allowed are numbers from ", least, " to ", most,
                      " with commas between them, or none"),
                  std::string(flag));
    sizes.push_back(size);
    if (item.size() == rest.size()) return sizes;
    rest.remove_prefix(item.size() + 1);
  }
}

std::string sizes_text(const std::vector<int>& sizes) {
  std::string text;
  for (const int size : sizes) text += (text.empty() ? "" : ",") + std::to_string(size);
  return text.empty() ? "none" : text;
}

}  // namespace qwen
