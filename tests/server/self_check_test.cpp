// The periodic log line about the service's own state.
#include "server/self_check.h"

#include <gtest/gtest.h>

namespace qwen {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;

TEST(SelfCheck, HoldsTheMemoryFigures) {
  EngineStats engine;
  engine.total_blocks = 200;
  engine.free_blocks = 150;
  engine.running = 3;
  engine.waiting = 1;
  const SelfCheckLine line =
      self_check_line(ServiceState::kReady, engine, {32 * kGib, 20 * kGib}, {.resident_bytes = 4 * kGib});
  EXPECT_EQ(line.text,
            "self-check: healthy, memory 37.5 % used (12.0 of 32.0 GiB), process 4.0 GiB, KV cache 25.0 %, "
            "3 running, 1 waiting");
  EXPECT_EQ(line.level, LogLevel::kInfo);
}

TEST(SelfCheck, LevelsSayWhatIsWrong) {
  EXPECT_EQ(self_check_line(ServiceState::kReady, {}, {100, 10}, {}).level, LogLevel::kWarning);
  EXPECT_EQ(self_check_line(ServiceState::kUnhealthy, {}, {100, 50}, {}).level, LogLevel::kError);
  EXPECT_EQ(self_check_line(ServiceState::kLoading, {}, {}, {}).level, LogLevel::kInfo)
      << "nothing is known of the memory";
}

TEST(SelfCheck, LooksEveryIntervalAndEndsAtOnce) {
  GenerationService service;
  testing::internal::CaptureStderr();
  const auto start = std::chrono::steady_clock::now();
  {
    const SelfCheck check(service, std::chrono::seconds(1));
    const SelfCheck never(service, std::chrono::seconds(0));
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));
  }
  { const SelfCheck later(service, std::chrono::seconds(3600)); }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  const std::string log = testing::internal::GetCapturedStderr();
  const size_t line = log.find("self-check: loading, memory ");
  EXPECT_NE(line, std::string::npos) << log;
  EXPECT_EQ(log.find("self-check: ", line + 1), std::string::npos) << log;
}

}  // namespace
}  // namespace qwen
