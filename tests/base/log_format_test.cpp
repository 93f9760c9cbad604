// Format strings as Python's logging reads them, and JSON.
#include "base/log_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "support/expect_error.h"

namespace qwen {
namespace {

LogRecord record() {
  LogRecord record{.level = LogLevel::kWarning, .thread = 42};
  record.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'767'323'045'007));
  record.message = "slow";
  return record;
}
std::string spelled(const std::string& format, const LogRecord& one = record()) {
  std::string line;
  LogFormat(format).append(line, one);
  return line;
}
testing::AssertionResult refused(const std::string& format, const std::string& words) {
  return fails_with([&] { LogFormat{format}; }, ErrorCode::kConfig, words);
}

class LogFormats : public testing::Test {
 protected:
  LogFormats() {
    ::setenv("TZ", "UTC-8", 1);  // east of Greenwich
    ::tzset();
  }
  ~LogFormats() override {
    ::unsetenv("TZ");
    ::tzset();
  }
};

TEST_F(LogFormats, TheGuides) {
  EXPECT_EQ(spelled(std::string(kDefaultLogFormat)), "2026-01-02 11:04:05,007 - qwen-thinking - WARNING - slow\n");
}

TEST_F(LogFormats, WidthsAndConversionsAsInPython) {
  EXPECT_EQ(spelled("[%(levelname)-8s|%(levelname)10s|%(levelname).4s|%(levelname)-6.2s] %(message)s"),
            "[WARNING |   WARNING|WARN|WA    ] slow\n");
  EXPECT_EQ(spelled("%(levelno)d %(levelno)04d %(levelno)-4s| %(message)s"), "30 0030 30  | slow\n");
  EXPECT_EQ(spelled("%(created)f %(created).2f %(created)d %(msecs)03d %(message)s"),
            "1767323045.007000 1767323045.01 1767323045 007 slow\n");
  EXPECT_EQ(spelled("%(thread)d 100%% %(message)s"), "42 100% slow\n");
  EXPECT_EQ(spelled("%(process)d %(message)s"), std::to_string(::getpid()) + " slow\n");
  LogRecord chinese = record();
  chinese.message = "内存";
  EXPECT_EQ(spelled("%(message).4s", chinese), "内\n") << "cut between characters";
}

TEST_F(LogFormats, Json) {
  LogRecord one = record();
  one.message = "says \"hi\"";
  EXPECT_EQ(spelled("json", one),
            "{\"ts\":\"2026-01-02T03:04:05.007Z\",\"level\":\"WARNING\",\"name\":\"qwen-thinking\",\"msg\":\"says "
            "\\\"hi\\\"\"}\n");
}

TEST_F(LogFormats, AWorkersLinesNameIt) {
  EXPECT_EXIT(
      {
        name_worker_in_log(3);
        std::fputs((spelled(std::string(kDefaultLogFormat)) + spelled("json")).c_str(), stderr);
        std::exit(0);
      },
      testing::ExitedWithCode(0),
      " - qwen-thinking.worker-3 - WARNING - slow\n.*\"name\":\"qwen-thinking\",\"worker\":3,\"msg\":\"slow\"");
}

TEST(LogFormatErrors, NameTheFieldAndTheNearest) {
  EXPECT_TRUE(refused("%(levelnam)s %(message)s", "no field \"levelnam\"; did you mean levelname?"));
  EXPECT_TRUE(refused("%(lineno)d %(message)s", "no field \"lineno\""));
  EXPECT_TRUE(refused("%(levelname)s", "%(message)s is missing"));
  EXPECT_TRUE(refused("", "%(message)s is missing"));
  EXPECT_TRUE(refused("text", "%(message)s is missing"));
  EXPECT_TRUE(refused("%(message)d", "%(message) ends in one of s"));
  EXPECT_TRUE(refused("%(message)", "%(message) ends in one of s"));
  EXPECT_TRUE(refused("%(message", "a % begins a field"));
  EXPECT_TRUE(refused("%s", "a % begins a field"));
  EXPECT_TRUE(refused("%(message)s %", "a % begins a field"));
  EXPECT_TRUE(refused("%(message)999s", "at most 200 wide"));
  EXPECT_TRUE(refused("%(message)99999999999s", "at most 200 wide"));
  EXPECT_TRUE(refused("%(message)s\n%(name)s", "control character"));
}

}  // namespace
}  // namespace qwen
