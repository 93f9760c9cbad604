#include "text/python_number.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace qwen {

std::string python_float(double value) {
  QWEN_CHECK(std::isfinite(value));
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string shortest(buffer, end);  // -d.ddde±xx, the digits as few as possible
  const size_t e = shortest.find('e');
  const int exponent = std::stoi(shortest.substr(e + 1));
  std::string sign, digits;
  for (const char c : shortest.substr(0, e)) {
    if (c == '-') sign = "-";
    if (c >= '0' && c <= '9') digits += c;
  }
  if (exponent < -4 || exponent >= 16) {  // Python's borders
    if (digits.size() > 1) digits.insert(1, ".");
    return sign + digits + shortest.substr(e);
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.insert(whole, ".");
}

}  // namespace qwen
