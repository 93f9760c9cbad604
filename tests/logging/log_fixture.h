// A folder of its own for a test's logs.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace qwen::test {

class LogFolder : public testing::Test {
 protected:
  LogFolder() {
    std::string name = testing::TempDir() + "qwen_log_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~LogFolder() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::string path(const std::string& name = "service.log") const { return folder_ / name; }
  std::string read(const std::string& name = "service.log") const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }

  template <typename Check>
  static bool eventually(Check&& check, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!check()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  std::filesystem::path folder_;
};

}  // namespace qwen::test
