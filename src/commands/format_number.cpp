#include "commands/format_number.h"

#include <cstdio>

namespace qwen {

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return digits;
}

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string gibibytes(double bytes) {
  if (bytes >= 0x1p30) return fixed(bytes / 0x1p30, 2) + " GiB";
  if (bytes >= 0x1p20) return fixed(bytes / 0x1p20, 1) + " MiB";
  if (bytes >= 0x1p10) return fixed(bytes / 0x1p10, 1) + " KiB";
  return fixed(bytes, 0) + " B";
}

}  // namespace qwen
