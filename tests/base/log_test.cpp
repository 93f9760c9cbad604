// The format of a line is the deployment guide's, in Python's words, since its own grep lines look for them.
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qwen {
namespace {

TEST(Log, LinesLookAsTheGuideShowsThem) {
  testing::internal::CaptureStderr();
  log_info("loaded ", 3, " tensors");
  log_warning("slow");
  log_error("broken\nby\x1b[31m a client");
  const std::string text = testing::internal::GetCapturedStderr();
  const std::string time = "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3}";
  EXPECT_THAT(text, testing::MatchesRegex(time + " - qwen-thinking - INFO - loaded 3 tensors\n" + time +
                                          " - qwen-thinking - WARNING - slow\n" + time +
                                          " - qwen-thinking - ERROR - broken.x0aby.x1b.31m a client\n"));
}

TEST(Log, LevelsBelowTheSetOneAreNotWritten) {
  set_log_level(LogLevel::kWarning);
  testing::internal::CaptureStderr();
  log_info("quiet");
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  set_log_level(LogLevel::kInfo);
}

}  // namespace
}  // namespace qwen
