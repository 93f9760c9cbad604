// Amounts per second over the last minute.
#include "metrics/rate_window.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

using std::chrono::seconds;

const RateWindow::Clock::time_point kStart{seconds(1'000'000)};

TEST(RateWindow, AveragesOverTheTimeThatWas) {
  RateWindow window(kStart);
  EXPECT_EQ(window.per_second(kStart), 0);
  window.add(30, kStart);
  EXPECT_DOUBLE_EQ(window.per_second(kStart), 30);  // never over less than a second
  EXPECT_DOUBLE_EQ(window.per_second(kStart + seconds(10)), 3);
}

TEST(RateWindow, ForgetsAfterAMinute) {
  RateWindow window(kStart);
  for (int second = 0; second < 600; ++second) window.add(5, kStart + seconds(second));
  EXPECT_DOUBLE_EQ(window.per_second(kStart + seconds(599)), 5);
  EXPECT_DOUBLE_EQ(window.per_second(kStart + seconds(629)), 2.5);
  EXPECT_EQ(window.per_second(kStart + seconds(660)), 0);
  window.add(60, kStart + seconds(700));
  EXPECT_DOUBLE_EQ(window.per_second(kStart + seconds(700)), 1);
}

}  // namespace
}  // namespace qwen
