// Memory of machine and container, and what the process itself takes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include "base/memory_usage.h"
#include "server/process_usage.h"
#include "support/scratch_folder.h"

namespace qwen {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Memory : public testing::Test {
 protected:
  void SetUp() override { write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 5 kB\nMemAvailable: 400 kB\n"); }
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_.path() / name).parent_path());
    root_.write(name, text);
  }
  MemoryUsage read() const { return read_memory_usage(root_.path().string()); }

  ScratchFolder root_;
};

TEST_F(Memory, TheMachines) {
  EXPECT_EQ(read().total_bytes, 1000u * 1024);
  EXPECT_EQ(read().available_bytes, 400u * 1024);
  EXPECT_DOUBLE_EQ(read().used_percent(), 60);
}

TEST_F(Memory, TheContainersWhereItHasLess) {
  write("sys/fs/cgroup/memory.max", "204800\n");
  write("sys/fs/cgroup/memory.current", "122880\n");
  EXPECT_EQ(read().total_bytes, 204800u);
  EXPECT_DOUBLE_EQ(read().used_percent(), 60);
  // Pages of files that nobody uses are given back on demand.
  write("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 102400\nactive_file 7\n");
  EXPECT_DOUBLE_EQ(read().used_percent(), 10);
}

TEST_F(Memory, VersionOneToo) {
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "102400\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "51200\n");
  EXPECT_DOUBLE_EQ(read().used_percent(), 50);
}

TEST_F(Memory, NoLimitIsNoContainer) {
  write("sys/fs/cgroup/memory.max", "max\n");
  write("sys/fs/cgroup/memory.current", "122880\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "51200\n");
  EXPECT_EQ(read().total_bytes, 1000u * 1024);
}

TEST_F(Memory, MoreThanTheLimitIsFull) {
  write("sys/fs/cgroup/memory.max", "1000\n");
  write("sys/fs/cgroup/memory.current", "2000\n");
  EXPECT_DOUBLE_EQ(read().used_percent(), 100);
}

TEST_F(Memory, AMachineThatDoesNotTell) {
  const ScratchFolder empty;
  EXPECT_EQ(read_memory_usage(empty.path().string()).total_bytes, 0u);
  EXPECT_EQ(read_memory_usage(empty.path().string()).used_percent(), 0);
}

TEST(ProcessUsage, IsThisProcess) {
  const ProcessUsage before = read_process_usage();
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_GT(before.start_time, now - 3600);
  EXPECT_LE(before.start_time, now + 0.1);
  EXPECT_GT(before.resident_bytes, 1'000'000u);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  EXPECT_GT(before.max_fds, before.open_fds);

  const std::vector<char> memory(64 << 20, 1);
  const int descriptor = ::dup(1);
  const ProcessUsage after = read_process_usage();
  ::close(descriptor);
  EXPECT_EQ(after.open_fds, before.open_fds + 1);
  EXPECT_GT(after.resident_bytes, before.resident_bytes + memory.size() / 2);
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
  EXPECT_EQ(after.start_time, before.start_time);
}

TEST(CpuMeter, IsAShareOfTheCoresSinceTheLastLook) {
  const CpuMeter::Clock::time_point start{seconds(100)};
  CpuMeter meter(5, 2, start);
  EXPECT_DOUBLE_EQ(meter.percent(6, start + milliseconds(10)), 0);  // too soon to say
  EXPECT_DOUBLE_EQ(meter.percent(10, start + seconds(10)), 25);
  EXPECT_DOUBLE_EQ(meter.percent(10.5, start + milliseconds(10'500)), 25);
  EXPECT_DOUBLE_EQ(meter.percent(14, start + seconds(12)), 100);
  EXPECT_DOUBLE_EQ(meter.percent(14, start + seconds(14)), 0);
}

}  // namespace
}  // namespace qwen
