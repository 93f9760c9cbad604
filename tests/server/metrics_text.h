// Reads one figure out of Prometheus' text.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace qwen::test {

// `series` as it stands in the text, labels in the order of their names; -1 where it is not told.
inline double figure(const std::string& text, const std::string& series) {
  const std::string line = "\n" + series + " ";
  const size_t at = ("\n" + text).find(line);
  return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size() - 1));
}

}  // namespace qwen::test
