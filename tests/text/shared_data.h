// The golden vectors and the real tokenizer, which are not part of the repository.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace qwen::testing {

inline std::filesystem::path shared_data(const std::string& path) {
  return std::filesystem::path(QWEN_SHARED_DATA) / path;
}

// Skips the test, visibly, where a file is absent. Must be called in the test's own body.
#define QWEN_NEED_SHARED_DATA(path)                                         \
  do {                                                                      \
    if (!std::filesystem::exists(::qwen::testing::shared_data(path)))       \
      GTEST_SKIP() << ::qwen::testing::shared_data(path) << " is not here"; \
  } while (false)

inline int for_each_golden(const std::string& path, const std::function<void(const nlohmann::ordered_json&)>& check) {
  std::ifstream in(shared_data(path));
  std::string line;
  int cases = 0;
  while (std::getline(in, line)) {
    ++cases;
    const auto golden = nlohmann::ordered_json::parse(line);
    SCOPED_TRACE(golden.at("id").get<std::string>());
    check(golden);
  }
  return cases;
}

}  // namespace qwen::testing
