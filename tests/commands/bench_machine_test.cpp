#include "commands/bench_machine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>

namespace qwen {
namespace {

TEST(BenchMachine, CpuModelIsTheFirstOnTheList) {
  const std::filesystem::path root = std::filesystem::path(testing::TempDir()) / "bench_machine";
  std::filesystem::create_directories(root / "proc");
  std::ofstream(root / "proc/cpuinfo") << "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU 9\nprocessor\t: 1\n";
  EXPECT_EQ(cpu_model(root.string()), "Some CPU 9");
  EXPECT_EQ(cpu_model((root / "absent").string()), "unknown CPU");
}

TEST(BenchMachine, TimeAndMemory) {
  EXPECT_TRUE(std::regex_match(utc_now(), std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ"))) << utc_now();
  EXPECT_GT(peak_resident_bytes(), 1 << 20);
}

TEST(BenchMachine, WhatOthersTookIsWhatIsBusyBesidesOneself) {
  EXPECT_DOUBLE_EQ(other_load({100, 40, 10}, {120, 50, 18}), 0.1);
  EXPECT_EQ(other_load({100, 40, 10}, {120, 50, 20.5}), 0);  // ticks are coarser than one's own time
  EXPECT_EQ(other_load({}, {}), 0);
  const ProcessorTime now = processor_time();
  EXPECT_GT(now.elapsed, now.busy);
  EXPECT_GT(now.busy, 0);
}

}  // namespace
}  // namespace qwen
